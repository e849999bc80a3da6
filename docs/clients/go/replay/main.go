// Has a device record a video, and prints whether a living person is in it: go run ./replay
package main

import (
	"fmt"
	"log"
	"net"
	"net/http"
	"path"
	"strings"

	"faceline.example/clients/faceline"
)

func must(headers http.Header, err error) http.Header {
	if err != nil {
		log.Fatal(err)
	}
	return headers
}

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(nil, err)
	called := make(chan struct{}, 1)
	go http.Serve(listener, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		select {
		case called <- struct{}{}:
		default: // a repetition
		}
	}))
	callback := fmt.Sprintf(`{"callbackURL":"http://%s/"}`, listener.Addr())
	session := must(faceline.Call("POST", "/v2/bio-sessions", "application/json", strings.NewReader(callback), nil)).Get("Location")
	begun := must(faceline.Call("POST", session+"/init-liveness-parameters", "application/json",
		strings.NewReader(`{"type":"LIVENESS_PASSIVE_VIDEO"}`), nil))
	fmt.Println(path.Base(session), begun.Get("X-Capture-Token")) // for the device
	<-called                                                      // the callback only says that there is a result
	var result struct{ Status string }
	must(faceline.Call("GET", "/v3"+strings.TrimPrefix(session, "/v2")+"/replay-liveness-metadata", "", nil, &result))
	fmt.Println(result.Status)
}
