package main

import (
	"flag"
	"io"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"
)

func TestWhoCannotBeAskedIsToldWhatItIsAbout(t *testing.T) {
	set := flag.NewFlagSet("", flag.ContinueOnError)
	set.Bool("yes", false, "")
	c := cli.NewContext(&cli.App{Reader: strings.NewReader("shop\n"), ErrWriter: io.Discard}, set, nil)
	const want = "this changes eu and us at once; nobody is there to ask: say --yes"
	if err := typedName(c, "this changes eu and us at once", "shop"); err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("%v", err)
	}
	if err := set.Set("yes", "true"); err != nil {
		t.Fatal(err)
	}
	if err := typedName(c, "this changes eu and us at once", "shop"); err != nil {
		t.Error(err)
	}
}
