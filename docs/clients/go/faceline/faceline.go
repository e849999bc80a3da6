// Package faceline has what the examples share: requests and multipart bodies.
package faceline

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"strings"
)

func setting(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}

// Call sends a request, decodes the JSON of its answer into result unless that is nil, and returns the answer's headers.
func Call(method, path, contentType string, body io.Reader, result any) (http.Header, error) {
	request, err := http.NewRequest(method, setting("FACELINE_URL", "http://127.0.0.1:8080")+"/bioserver-app"+path, body)
	if err != nil {
		return nil, err
	}
	request.Header.Set("apikey", setting("FACELINE_KEY", "demo"))
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode >= 300 {
		err = fmt.Errorf("%s: %s", answer.Status, text)
	}
	if err == nil && result != nil {
		err = json.Unmarshal(text, result)
	}
	return answer.Header, err
}

// Form posts fields, which are name, value, name, value; a value that begins with @ is the name of a file.
func Form(path string, result any, fields ...string) (http.Header, error) {
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	for at := 0; at < len(fields); at += 2 {
		name, value := fields[at], []byte(fields[at+1])
		part, err := form.CreateFormField(name)
		if file, isFile := strings.CutPrefix(fields[at+1], "@"); err == nil && isFile {
			value, err = os.ReadFile(file)
		}
		if err != nil {
			return nil, err
		}
		part.Write(value)
	}
	form.Close()
	return Call("POST", path, form.FormDataContentType(), &body, result)
}
