package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"filippo.io/age"
	"github.com/urfave/cli/v2"

	"github.com/hanse-fleet/hanse/agent"
	"github.com/hanse-fleet/hanse/atrest"
	"github.com/hanse-fleet/hanse/epoch"
)

// A cluster that joins again keeps the key that it had, and with it what is sealed for its groups.

func keysFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "keys-from", Usage: "DIR that was the data directory of this cluster's member before: keep its key, and open what it could; nothing is changed there"},
		&cli.StringFlag{Name: "keys-identity", Usage: "FILE with the age key that opens that DIR, when it is encrypted and --data-identity does not"},
	}
}

// formerKeys is where the key comes from that the cluster keeps. with opens the directory of the new member.
func formerKeys(c *cli.Context, with *age.HybridIdentity) (agent.Former, error) {
	dir, file := c.String("keys-from"), c.String("keys-identity")
	switch {
	case dir == "" && file == "":
		return agent.Former{}, nil
	case dir == "":
		return agent.Former{}, usage("--keys-identity is given, and --keys-from is not", hint{words: "name the directory that it opens: --keys-from DIR"})
	case file != "":
		id, err := readDataIdentity(file, dir)
		return agent.Former{DataDir: dir, DataIdentity: id}, err
	}
	if _, err := os.Lstat(filepath.Join(dir, atrest.DataKeyFile)); err == nil && with == nil {
		return agent.Former{}, usage("keys from "+dir+": that is encrypted", hint{words: "give the age key that opens it: --keys-identity FILE"})
	}
	return agent.Former{DataDir: dir, DataIdentity: with}, nil
}

func lostGroupFlag() cli.Flag {
	return &cli.StringSliceFlag{Name: "lost-group", Usage: "GROUP for which nobody can open anything then, and that is to be so; repeatable"}
}

// typist has a person type sentences, where one is there.
type typist struct {
	c     *cli.Context
	lines *bufio.Reader
}

func newTypist(c *cli.Context) *typist { return &typist{c, bufio.NewReader(c.App.Reader)} }

func (t *typist) there() bool { return isTerminal(t.c.App.Reader) }

// typed wants one sentence, and nothing else.
func (t *typist) typed(sentence string) error {
	fmt.Fprintf(t.c.App.ErrWriter, "type: %s\n> ", sentence)
	line, err := t.lines.ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if strings.TrimSpace(line) != sentence {
		return &failure{code: exitError, why: "something else was typed; nothing was done"}
	}
	return nil
}

// agreeing says for which groups a cluster could open nothing, and who could, and has a person say of each that nobody could that it is lost. A script
// says that with --lost-group.
func agreeing(t *typist, cluster string) func([]epoch.Shut) error {
	said := t.c.StringSlice("lost-group")
	return func(all []epoch.Shut) error {
		var lost, left []string
		for _, s := range all {
			fmt.Fprintln(t.c.App.ErrWriter, shutLine(s, cluster))
			if s.Lost() {
				lost = append(lost, s.Group)
			}
		}
		for _, name := range said {
			if !slices.Contains(lost, name) {
				return usagef("--lost-group %s: somebody can open what is sealed for it, or there is nothing, or no such group", name)
			}
		}
		for _, name := range lost {
			switch {
			case slices.Contains(said, name):
			case t.there() && !t.c.Bool("yes"):
				if err := t.typed("group " + name + " is lost"); err != nil {
					return err
				}
			default:
				left = append(left, name)
			}
		}
		if len(left) > 0 {
			return usage("nobody could open any more what is sealed for: "+strings.Join(left, ", "),
				hint{words: "go on where somebody can, or with the key of one: " + theKey(t.c)},
				hint{words: "or, if that is to be so, say of each: --lost-group GROUP"})
		}
		return nil
	}
}

// theKey is how the verb is given a key that it lacks.
func theKey(c *cli.Context) string {
	if c.Command.Name == "recover" {
		return "--survivor FILE"
	}
	return "--keys-from DIR"
}

// shutLine is one group for which a cluster could open nothing.
func shutLine(s epoch.Shut, cluster string) string {
	var by []string
	if s.Own {
		by = append(by, "it could with the key that it had (--keys-from DIR)")
	}
	if len(s.By) > 0 {
		by = append(by, few(s.By)+" can once joined again with the key from before (hanse join --keys-from DIR)")
	}
	if s.Recovery {
		by = append(by, "a recovery key can (hanse secret open)")
	}
	if len(by) == 0 {
		by = []string{"nobody could any more"}
	}
	return fmt.Sprintf("%s opens nothing that is sealed for group %s (%s); %s", cluster, s.Group, few(s.Secrets), strings.Join(by, "; "))
}
