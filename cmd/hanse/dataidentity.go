package main

import (
	"os"

	"filippo.io/age"
	"github.com/urfave/cli/v2"

	"github.com/hanse-fleet/hanse/atrest"
)

// envDataIdentity names the file for verbs of a service, and for all that somebody does on one machine.
const envDataIdentity = "HANSE_DATA_IDENTITY"

func dataIdentityFlag() cli.Flag {
	return &cli.StringFlag{Name: "data-identity", Usage: "FILE with the age key that opens what is private in the member's folder, when that is encrypted [$" + envDataIdentity + "]"}
}

// dataIdentity opens what is private in the data directory; nil when none is given.
func dataIdentity(c *cli.Context) (*age.HybridIdentity, error) {
	file := c.String("data-identity")
	if file == "" {
		file = os.Getenv(envDataIdentity)
	}
	switch {
	case file == "":
		return nil, nil
	case within(dataDir(c), file):
		return nil, usagef("data identity %s: it lies in the data directory, and who has that is not to have it; keep it elsewhere", file)
	}
	with, err := atrest.ReadIdentity(file)
	if err != nil {
		return nil, usagef("data identity %s: %s", file, innermost(err))
	}
	return with, nil
}

// privateIn is the key of what is private in a data directory; nil for one in the clear.
func privateIn(c *cli.Context, dir string) (*atrest.Key, error) {
	with, err := dataIdentity(c)
	if err != nil {
		return nil, err
	}
	return atrest.Open(dir, with)
}
