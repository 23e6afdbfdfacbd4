package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/hanse-fleet/hanse/internal/durable"
	"github.com/hanse-fleet/hanse/secrets"
)

func recoveryFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "recovery-key", DefaultText: "FLEET-recovery.key", Usage: "FILE that gets the recovery key, which opens every group's secrets when no cluster can; - is stdout"},
		&cli.StringSliceFlag{Name: "recovery-recipient", Usage: "age RECIPIENT (age1pq1…) of a recovery key that was made elsewhere; repeatable"},
		&cli.BoolFlag{Name: "no-recovery", Usage: "make no recovery key"},
	}
}

// recoveryKey is how people read what is sealed when no cluster can: by a key that is made here, or by keys that were made elsewhere.
type recoveryKey struct {
	fleet string
	// file gets the key that is made here, - is stdout; "": none is made.
	file       string
	recipients []string
	stdout     io.Writer
	// found says that the file was there, with a key in it: an init that was repeated goes on with that.
	found bool
	// printed says that the key that is made here went to stdout.
	printed bool
}

// recoveryWanted checks all that can be checked before anything is made.
func recoveryWanted(c *cli.Context) (*recoveryKey, error) {
	k := &recoveryKey{fleet: c.String("fleet"), file: c.String("recovery-key"), recipients: c.StringSlice("recovery-recipient"), stdout: c.App.Writer}
	said := 0
	for _, flag := range []string{"recovery-key", "recovery-recipient", "no-recovery"} {
		if c.IsSet(flag) {
			said++
		}
	}
	if said > 1 {
		return nil, usage("--recovery-key, --recovery-recipient and --no-recovery are three ways; say one")
	}
	for i, text := range k.recipients {
		to, err := secrets.ParseRecipient(text)
		if err != nil {
			return nil, usage("--recovery-recipient: "+err.Error(), hint{words: "make a key where it is to be kept: age-keygen -pq -o recovery.key"})
		}
		k.recipients[i] = to.String()
	}
	k.recipients = slices.Compact(slices.Sorted(slices.Values(k.recipients)))
	switch {
	case c.IsSet("recovery-recipient") || c.Bool("no-recovery"):
		k.file = ""
	case k.file == "":
		k.file = k.fleet + "-recovery.key"
	}
	if within(dataDir(c), k.file) {
		return nil, usagef("--recovery-key %s: it lies in the data directory, and is for the day on which that is lost; name another FILE", k.file)
	}
	return k, nil
}

// within says whether a file lies in a folder, or would lie there, whatever links lead to the two.
func within(folder, file string) bool {
	if file == "" || file == "-" {
		return false
	}
	in, err := filepath.Abs(folder)
	if err != nil {
		return false
	}
	at, err := filepath.Abs(file)
	if err != nil {
		return false
	}
	rest, err := filepath.Rel(resolved(in), resolved(at))
	return err == nil && filepath.IsLocal(rest)
}

// resolved follows the links in an absolute path, as far as that is there.
func resolved(path string) string {
	to, err := filepath.EvalSymlinks(path)
	switch up := filepath.Dir(path); {
	case err == nil:
		return to
	case up == path:
		return path
	default:
		return filepath.Join(resolved(up), filepath.Base(path))
	}
}

// recipientsMade are the fleet's recovery recipients. The key is on disk before anything is founded upon it, so a repetition after any
// interruption goes on with the same one.
func (k *recoveryKey) recipientsMade() ([]string, error) {
	if k.file == "" {
		return k.recipients, nil
	}
	if k.file != "-" {
		switch id, err := k.left(); {
		case err == nil:
			k.found = true
			return []string{id.Recipient().String()}, nil
		case !errors.Is(err, fs.ErrNotExist):
			return nil, err
		}
	}
	id, err := secrets.NewIdentity()
	if err != nil {
		return nil, err
	}
	to := id.Recipient().String()
	text := fmt.Appendf(nil, ofFleet+"%s: keep it offline\n# public key: %s\n%s\n", k.fleet, to, id.Reveal())
	defer clear(text)
	if k.file == "-" {
		k.printed = true
		_, err = k.stdout.Write(text)
		return []string{to}, err
	}
	if err := durable.NewFile(k.file, text); err != nil {
		return nil, &failure{code: exitError, why: fmt.Sprintf("the recovery key was not written: %s", err), hints: []hint{
			{words: "name a file that can be: --recovery-key FILE, or a key made elsewhere: --recovery-recipient age1pq1…"},
		}}
	}
	return []string{to}, nil
}

// ofFleet is what the comment in a file with a recovery key begins with, before the fleet's name and a colon.
const ofFleet = "# recovery key of fleet "

// left is the key that an init left that broke off. One that others may have read, or of another fleet, is not taken.
func (k *recoveryKey) left() (id secrets.Identity, err error) {
	if id, err = readRecoveryKey(k.file); err != nil {
		return id, err
	}
	info, err := os.Stat(k.file)
	if err != nil {
		return id, usagef("recovery key %s: %s", k.file, innermost(err))
	}
	if mode := info.Mode().Perm(); mode&^0o600 != 0 {
		return id, usage(fmt.Sprintf("%s is there already with mode %04o, and is not taken: others may have read the key in it", k.file, mode),
			hint{words: "if nobody has: chmod 600 " + k.file + "; else name another file: --recovery-key FILE"})
	}
	of, err := fleetIn(k.file)
	if err != nil {
		return id, usagef("recovery key %s: %s", k.file, innermost(err))
	}
	if of != "" && of != k.fleet {
		return id, usage(fmt.Sprintf("%s is there already, and is not taken: it is the recovery key of fleet %s", k.file, of), hint{words: "name another file: --recovery-key FILE"})
	}
	return id, nil
}

// fleetIn is the fleet that a file with a recovery key says it is of; "": it does not say.
func fleetIn(file string) (string, error) {
	text, err := os.ReadFile(file)
	defer clear(text)
	for line := range strings.Lines(string(text)) {
		if rest, says := strings.CutPrefix(line, ofFleet); says {
			fleet, _, _ := strings.Cut(strings.TrimSpace(rest), ":")
			return fleet, err
		}
	}
	return "", err
}

// readRecoveryKey reads the one key in a file. The error is fs.ErrNotExist when there is no file, and tells nothing of what is in it.
func readRecoveryKey(file string) (secrets.Identity, error) {
	text, err := os.ReadFile(file)
	defer clear(text)
	if errors.Is(err, fs.ErrNotExist) {
		return secrets.Identity{}, err
	}
	if err != nil {
		return secrets.Identity{}, usagef("recovery key %s: %s", file, innermost(err))
	}
	var keys []secrets.Identity
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		id, err := secrets.ParseIdentity(line)
		if err != nil {
			keys = nil
			break
		}
		keys = append(keys, id)
	}
	if len(keys) != 1 {
		return secrets.Identity{}, usage(file+" is there already and does not hold one post-quantum age key, and is not written over",
			hint{words: "name another file: --recovery-key FILE; if an init that broke off left this one, delete it"})
	}
	return keys[0], nil
}

// brokeOff is why an init did, with what is to be known of a key that was printed: nobody has kept it, so a repetition makes another.
func (k *recoveryKey) brokeOff(err error) error {
	var f *failure
	if !k.printed || errors.As(err, &f) {
		return err
	}
	return &failure{code: exitError, why: err.Error(), hints: []hint{{words: "the repetition prints another recovery key: throw the former away then, nothing is sealed for it"}}}
}

// say tells where the key is, and what to do with it.
func (k *recoveryKey) say(talk io.Writer) {
	switch {
	case k.file == "-":
		fmt.Fprintln(talk, "the recovery key was printed, and is nowhere else; it opens what is sealed for any group when no cluster can: keep it offline")
	case k.file != "":
		was := "is"
		if k.found {
			was = "was there already and stays"
		}
		fmt.Fprintf(talk, "the recovery key %s in %s, and nowhere else; it opens what is sealed for any group when no cluster can\n", was, k.file)
		fmt.Fprintln(talk, "  keep it offline, in two places, apart from backups, and then delete it here: hanse help secret open says how it is used")
	case len(k.recipients) > 0:
		fmt.Fprintf(talk, "whoever has the key of a recovery recipient (%d) opens what is sealed for any group when no cluster can\n", len(k.recipients))
	default:
		fmt.Fprintf(talk, "no recovery key was made: when all clusters of a group have lost theirs, nobody opens what is sealed for it\n")
		fmt.Fprintf(talk, "  name one later, in spec.recoveryRecipients of fleet %s\n", k.fleet)
	}
}
