// Compares a picture's face with those of others, the best match first: go run ./one_to_few REFERENCE CANDIDATE...
package main

import (
	"fmt"
	"log"
	"net/http"
	"os"

	"faceline.example/clients/faceline"
)

func must(headers http.Header, err error) string {
	if err != nil {
		log.Fatal(err)
	}
	return headers.Get("Location")
}

func main() {
	session := must(faceline.Call("POST", "/v2/bio-sessions", "", nil, nil))
	var faces []string
	for _, picture := range os.Args[1:] {
		faces = append(faces, must(faceline.Form(session+"/faces", nil, "image", "@"+picture, "imageType", "SELFIE", "friendlyName", picture)))
	}
	var matches []struct {
		Score     float64
		Candidate struct{ FriendlyName string }
	}
	must(faceline.Call("GET", faces[0]+"/matches", "", nil, &matches))
	for _, match := range matches {
		fmt.Println(match.Score, match.Candidate.FriendlyName)
	}
	must(faceline.Call("DELETE", session, "", nil, nil))
}
