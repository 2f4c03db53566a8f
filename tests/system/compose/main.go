// Command compose prints docker-compose.yml as Docker Compose itself understands it: JSON on standard output.
//
//	compose FILE ENVIRONMENT PROFILE...
//
// FILE is loaded with the schema, interpolation (of the variables in ENVIRONMENT, a file, and of no others),
// normalisation and the check of consistency. Whatever Docker Compose would refuse ends it with 1.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/compose-spec/compose-go/v2/cli"
)

func main() {
	if len(os.Args) < 3 {
		fail(fmt.Errorf("usage: compose FILE ENVIRONMENT PROFILE"))
	}
	options, err := cli.NewProjectOptions(
		os.Args[1:2],
		cli.WithEnvFiles(os.Args[2]),
		cli.WithDotEnv,
		cli.WithProfiles(os.Args[3:]),
		cli.WithInterpolation(true),
		cli.WithResolvedPaths(true),
		cli.WithNormalization(true),
		cli.WithConsistency(true),
	)
	if err != nil {
		fail(err)
	}
	project, err := options.LoadProject(context.Background())
	if err != nil {
		fail(err)
	}
	text, err := project.MarshalJSON()
	if err != nil {
		fail(err)
	}
	fmt.Println(string(text))
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
