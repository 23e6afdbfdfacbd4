package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"filippo.io/age"
	"github.com/urfave/cli/v2"

	"github.com/hanse-fleet/hanse/atrest"
)

// envDataIdentity names the file for verbs of a service, and for all that somebody does on one machine.
const envDataIdentity = "HANSE_DATA_IDENTITY"

func dataIdentityFlag() cli.Flag {
	return &cli.StringFlag{Name: "data-identity", Usage: "FILE with the age key that opens what is private in the member's folder, when that is encrypted [$" + envDataIdentity + "]"}
}

// dataIdentity opens what is private in a data directory; nil when none is given.
func dataIdentity(c *cli.Context, dir string) (*age.HybridIdentity, error) {
	file := c.String("data-identity")
	if file == "" {
		file = os.Getenv(envDataIdentity)
	}
	if file == "" {
		return nil, nil
	}
	return readDataIdentity(file, dir)
}

// readDataIdentity reads the one key in a file, which must not lie in the directory that it opens.
func readDataIdentity(file, dir string) (*age.HybridIdentity, error) {
	if within(dir, file) {
		return nil, usagef("data identity %s: it lies in the data directory, and who has that is not to have it; keep it elsewhere", file)
	}
	with, err := atrest.ReadIdentity(file)
	switch {
	case errors.As(err, new(*fs.PathError)): // it may be there at the next start
		return nil, &failure{code: exitError, why: fmt.Sprintf("data identity %s: %s", file, innermost(err))}
	case err != nil:
		return nil, usagef("data identity %s: %s", file, innermost(err))
	}
	return with, nil
}

// privateIn is the key of what is private in a data directory; nil for one in the clear.
func privateIn(c *cli.Context, dir string) (*atrest.Key, error) {
	with, err := dataIdentity(c, dir)
	if err != nil {
		return nil, err
	}
	return atrest.Open(dir, with)
}

// privateBeside is the key of a file that is named: that of its folder, when the file is the admin.pem of an encrypted one.
func privateBeside(c *cli.Context, file string) (*atrest.Key, error) {
	dir := filepath.Dir(file)
	if _, err := os.Lstat(filepath.Join(dir, atrest.DataKeyFile)); err != nil || filepath.Base(file) != adminFile {
		return nil, nil
	}
	return privateIn(c, dir)
}
