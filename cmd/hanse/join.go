package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/hanse-fleet/hanse/agent"
)

// maxToken bounds what is read as a token.
const maxToken = 64 << 10

func joinVerb() *cli.Command {
	return &cli.Command{
		Name:  "join",
		Usage: "let this cluster join a fleet",
		UsageText: `hanse join --cluster iad --region us < token
hanse join --cluster iad --region us --token-file token        or in HANSE_TOKEN
hanse join --cluster iad --keys-from OLD < token               again: with the key of its former data directory`,
		Flags: slices.Concat([]cli.Flag{
			&cli.StringFlag{Name: "token-file", Usage: "FILE with the token; - is stdin"},
			&cli.StringFlag{Name: "cluster", Usage: "this cluster's NAME"},
			&cli.StringFlag{Name: "region", Usage: "REGION that the cluster dies with, unless the token says it"},
			&cli.StringFlag{Name: "zone", Usage: "ZONE of the region"},
			&cli.DurationFlag{Name: "timeout", Value: defaultTimeout, Usage: "give up after this TIME"},
			dataDirFlag(),
			dataIdentityFlag(),
			onceFlag(),
			&cli.BoolFlag{Name: "keys-lost", Usage: "the key of this cluster's member before is gone: join, though nobody opens then what only that opened"},
		}, keysFlags(), addressFlags()),
		Action: joinAction,
	}
}

func joinAction(c *cli.Context) error {
	if c.NArg() > 0 {
		return during("join", usage("a token is never an argument: others on this machine could read it",
			hint{words: "give it on stdin, with --token-file, or in HANSE_TOKEN"}))
	}
	if err := required(c, "cluster"); err != nil {
		return during("join", err)
	}
	if made, err := madeBefore(c); made || err != nil {
		return during("join", err)
	}
	token, err := readToken(c)
	if err != nil {
		return during("join", err)
	}
	with, err := dataIdentity(c, dataDir(c))
	if err != nil {
		return during("join", err)
	}
	if c.String("keys-from") != "" && c.Bool("keys-lost") {
		return during("join", usage("--keys-from says where the key is, --keys-lost that it is gone; say one"))
	}
	former, err := formerKeys(c, with)
	if err != nil {
		return during("join", err)
	}
	o := agent.JoinOptions{
		DataDir: dataDir(c), DataIdentity: with, Cluster: c.String("cluster"), Region: c.String("region"), Zone: c.String("zone"),
		Token: token, Former: former, KeysLost: c.Bool("keys-lost"), Version: ownVersion().Version, Addresses: addresses(c),
	}
	ctx, cancel := withTimeout(c)
	defer cancel()
	begun := time.Now()
	result, err := agent.Join(ctx, o)
	if err != nil {
		return during("join", notAdmitted(memberExists(err)))
	}
	fmt.Fprintf(c.App.ErrWriter, "%s joined fleet %s, region %s, %s after %s\n",
		result.Cluster, result.Fleet, result.Region, others(result.Members), seconds(time.Since(begun)))
	if result.Kept {
		fmt.Fprintln(c.App.ErrWriter, "it keeps the key that its member had before, and opens what that could")
	}
	sayEncrypted(c.App.ErrWriter, with)
	sayNext(c, "start its member", "agent", o.DataDir)
	return nil
}

// notAdmitted says what the fleet said when it refused: the reason, and below it what to do.
func notAdmitted(err error) error {
	_, said, refused := strings.Cut(err.Error(), "join refused: ")
	if !refused {
		return err
	}
	why, next, _ := strings.Cut(said, "; ")
	out := &failure{code: exitError, why: why}
	if next != "" {
		out.hints = []hint{{words: next}}
	}
	return out
}

// others: beside 2 others.
func others(n int) string {
	if n == 1 {
		return "beside 1 other"
	}
	return fmt.Sprintf("beside %d others", n)
}

// readToken takes the token from a file, from the environment, or from stdin, in this order.
func readToken(c *cli.Context) (string, error) {
	var text string
	switch name := c.String("token-file"); {
	case name != "" && name != "-":
		data, err := os.ReadFile(name)
		if err != nil {
			return "", usagef("token file %s: %s", name, innermost(err))
		}
		text = string(data)
	case name == "" && os.Getenv("HANSE_TOKEN") != "":
		text = os.Getenv("HANSE_TOKEN")
	default:
		if isTerminal(c.App.Reader) {
			fmt.Fprint(c.App.ErrWriter, "paste the token, then press enter and ctrl-d: ")
		}
		data, err := io.ReadAll(io.LimitReader(c.App.Reader, maxToken+1))
		if err != nil {
			return "", usagef("read token from stdin: %s", innermost(err))
		}
		text = string(data)
	}
	text = strings.TrimSpace(text)
	switch {
	case text == "":
		return "", usage("no token", hint{"make one on any member", "token create"}, hint{words: "give it on stdin, with --token-file, or in HANSE_TOKEN"})
	case len(text) > maxToken || strings.ContainsAny(text, " \t\r\n"):
		return "", usage("that is no token: it is more than one word", hint{"make one on any member", "token create"})
	}
	return text, nil
}
