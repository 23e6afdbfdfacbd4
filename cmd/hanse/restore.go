package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"filippo.io/age"
	"github.com/urfave/cli/v2"

	"github.com/hanse-fleet/hanse/agent"
	"github.com/hanse-fleet/hanse/backup"
	"github.com/hanse-fleet/hanse/epoch"
)

func restoreVerb() *cli.Command {
	return &cli.Command{
		Name:  "restore",
		Usage: "make a new fleet's first member from a backup; it only looks until you say resume",
		UsageText: `hanse restore acme.hanse.age --identity key.txt --fleet acme --cluster fra --region eu
hanse restore s3://bucket/prefix/acme/1-0f3a/00000000000000000812.hanse.age -i key.txt --fleet acme --cluster fra
hanse restore - -i key.txt --fleet acme --cluster fra < acme.hanse.age`,
		Flags: slices.Concat([]cli.Flag{
			&cli.StringSliceFlag{Name: "identity", Aliases: []string{"i"}, Usage: "FILE with the age key that reads the backup; repeatable"},
			&cli.StringFlag{Name: "fleet", Usage: "the new fleet's NAME"},
			&cli.StringFlag{Name: "cluster", Usage: "this cluster's NAME"},
			&cli.StringFlag{Name: "region", Usage: "REGION that the cluster dies with, unless the backup says it"},
			&cli.StringFlag{Name: "zone", Usage: "ZONE of the region"},
			s3EndpointFlag(),
			dataDirFlag(),
			dataIdentityFlag(),
			&cli.StringSliceFlag{Name: "lost", Usage: "CLUSTER whose member is lost for good, and its key with it: it does not count as one that reads; repeatable"},
			lostGroupFlag(),
		}, keysFlags(), addressFlags()),
		Action: restoreAction,
	}
}

func restoreAction(c *cli.Context) error {
	if c.NArg() != 1 {
		return during("restore", usage("which backup?", hint{"for example", example(c)}))
	}
	if err := required(c, "fleet", "cluster"); err != nil {
		return during("restore", err)
	}
	name := c.Args().First()
	identities, err := readIdentities(c.StringSlice("identity"))
	if err != nil {
		return during("restore", err)
	}
	with, err := dataIdentity(c, dataDir(c))
	if err != nil {
		return during("restore", err)
	}
	former, err := formerKeys(c, with)
	if err != nil {
		return during("restore", err)
	}
	file, err := openBackup(c, name)
	if err != nil {
		return during("restore", err)
	}
	defer file.Close()
	o := agent.RestoreOptions{
		DataDir: dataDir(c), DataIdentity: with, Fleet: c.String("fleet"), Cluster: c.String("cluster"), Region: c.String("region"), Zone: c.String("zone"),
		Addresses: addresses(c), Backup: file, Identities: identities, Former: former, Lost: c.StringSlice("lost"), Version: ownVersion().Version,
		Agree: agreeing(newTypist(c), c.String("cluster")),
	}
	h, e, err := agent.Restore(o)
	if err != nil {
		return during("restore "+name, unreadable(memberExists(err)))
	}
	talk := c.App.ErrWriter
	fmt.Fprintf(talk, "fleet %s restored from %s of %s: revision %d, made by %s\n", e.Fleet, h.Fleet, h.Made.Format("2006-01-02 15:04:05 UTC"), h.Revision, h.Member)
	sayEncrypted(talk, with)
	tellEpoch(c, e, o.DataDir)
	return nil
}

// openBackup opens a file, an object of S3, or stdin.
func openBackup(c *cli.Context, name string) (io.ReadCloser, error) {
	if name == "-" {
		if isTerminal(c.App.Reader) {
			return nil, usage("a backup is nothing to type", hint{words: "give its name, or pass it on: hanse restore - … < FILE"})
		}
		return io.NopCloser(c.App.Reader), nil
	}
	file, err := backup.OpenBackup(c.Context, name, backup.Settings{Endpoint: c.String("s3-endpoint")})
	switch {
	case err == nil:
		return file, nil
	case errors.Is(err, backup.ErrNoName):
		return nil, whichBackup(c, name)
	case backup.Advice(err) != "":
		return nil, advised(err)
	case errors.As(err, new(*fs.PathError)):
		return nil, usagef("%s: %s", name, innermost(err))
	}
	return nil, usage(err.Error())
}

// whichBackup says which backups lie in a place that was named instead of one of them.
func whichBackup(c *cli.Context, place string) error {
	found, err := backup.Find(c.Context, place, backup.Settings{Endpoint: c.String("s3-endpoint")})
	if err != nil {
		return advised(err)
	}
	if len(found) == 0 {
		return usage("no backup lies below "+place, hint{words: "a backup's name ends in " + backup.Suffix})
	}
	const shown = 5
	out := usage("which backup of "+place+"?", hint{words: fmt.Sprintf("the latest of %d:", len(found))})
	for _, f := range found[:min(shown, len(found))] {
		out.hints = append(out.hints, hint{words: f.Written.UTC().Format("2006-01-02 15:04 UTC") + "   " + f.Address})
	}
	return out
}

// tellEpoch says where a fleet stands in its new epoch, and what to do, in order.
func tellEpoch(c *cli.Context, e epoch.Beginning, dir string) {
	talk := c.App.ErrWriter
	fmt.Fprintf(talk, "epoch %d begins at revision %d; %s in region %s is its only member\n", e.Epoch.Number, e.Epoch.Began, e.Cluster, e.Region)
	fmt.Fprintln(talk, "it only looks: nothing is granted, applied or deleted in any cluster before you say resume")
	sayAsOfThen(c, e, dir)
	sayNext(c, "start its member", "agent", dir)
	if len(e.Waiting) > 0 {
		fmt.Fprintf(talk, "  %s must join again, but for one that is to go, each with a fresh data directory:\n", strings.Join(e.Waiting, ", "))
		sayNext(c, "  for each", "token create --cluster "+e.Waiting[0], dir)
		if len(e.Keyed) > 0 {
			fmt.Fprintf(talk, "    where the former data directory is left, to go on with its key (%s): %s join --keys-from DIR\n", few(e.Keyed), c.App.Name)
		}
	}
	sayNext(c, "see what it would do, and let it", "resume", dir)
}

// sayAsOfThen says who may do and read something by what the epoch began from: a person, a key or a cluster that was taken out since is back.
func sayAsOfThen(c *cli.Context, e epoch.Beginning, dir string) {
	talk := c.App.ErrWriter
	fmt.Fprintf(talk, "all is as of revision %d: who was taken out since is back, so look, and take them out again once it runs\n", e.Epoch.From())
	if len(e.Users) > 0 {
		sayNext(c, "users "+few(e.Users), "delete user NAME", dir)
	}
	if len(e.Recovery) > 0 {
		fmt.Fprintf(talk, "  recovery recipients %s: in spec.recoveryRecipients\n", few(e.Recovery))
	}
	if len(e.Waiting) > 0 {
		sayNext(c, "clusters "+few(e.Waiting), "remove CLUSTER", dir)
	}
}

// unreadable says what to do about a backup that cannot be read.
func unreadable(err error) error {
	next := ""
	switch {
	case errors.Is(err, backup.ErrWrongKey):
		next = "give the key of one of those that it was made for: --identity FILE"
	case errors.Is(err, backup.ErrDamaged):
		next = "fetch it again, or take an older one; nothing was restored"
	case errors.Is(err, backup.ErrNewer):
		next = "restore it with the version of hanse that wrote it, or a newer one"
	case errors.Is(err, backup.ErrNotABackup):
		next = "a backup is what hanse backup wrote: its name ends in " + backup.Suffix
	default:
		return err
	}
	return &failure{code: exitError, why: err.Error(), hints: []hint{{words: next}}}
}

// maxIdentities bounds a file of age keys.
const maxIdentities = 64 << 10

// readIdentities reads age keys from files. What is in them is never shown.
func readIdentities(files []string) ([]age.Identity, error) {
	if len(files) == 0 {
		return nil, usage("--identity is missing", hint{words: "the file with the age key that the backup was made for"})
	}
	var all []age.Identity
	for _, name := range files {
		file, err := os.Open(name)
		if err != nil {
			return nil, usagef("identity %s: %s", name, innermost(err))
		}
		data, err := io.ReadAll(io.LimitReader(file, maxIdentities+1))
		file.Close()
		found, wrong := age.ParseIdentities(bytes.NewReader(data))
		if err != nil || wrong != nil || len(data) > maxIdentities {
			return nil, usagef("identity %s: it holds no age key (AGE-SECRET-KEY-…)", name)
		}
		all = append(all, found...)
	}
	return all, nil
}
