// Compares the faces of two pictures: go run ./one_to_one REFERENCE CANDIDATE
package main

import (
	"fmt"
	"log"
	"os"

	"faceline.example/clients/faceline"
)

func main() {
	var match struct{ Score, FalseAcceptanceRate float64 }
	_, err := faceline.Form("/v2/match/images", &match,
		"referenceImage", "@"+os.Args[1], "referenceImageType", "SELFIE",
		"candidateImage", "@"+os.Args[2], "candidateImageType", "SELFIE")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(match.Score, match.FalseAcceptanceRate)
}
