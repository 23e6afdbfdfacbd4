package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"filippo.io/age"
)

// ageCommand is as much of the program age as the pages type: age -d -i FILE, and age -r RECIPIENT.
func ageCommand() {
	exitOn(func() error {
		if len(os.Args) == 3 && os.Args[1] == "-r" {
			return ageEncrypt(os.Args[2])
		}
		if len(os.Args) != 4 || os.Args[1] != "-d" || os.Args[2] != "-i" {
			return fmt.Errorf("this one does not know %q", os.Args[1:])
		}
		ids, err := identitiesIn(os.Args[3])
		if err != nil {
			return err
		}
		r, err := age.Decrypt(os.Stdin, ids...)
		if err != nil {
			return err
		}
		_, err = io.Copy(os.Stdout, r)
		return err
	}())
}

func ageEncrypt(recipient string) error {
	to, err := age.ParseHybridRecipient(recipient)
	if err != nil {
		return err
	}
	w, err := age.Encrypt(os.Stdout, to)
	if err != nil {
		return err
	}
	if _, err := io.Copy(w, os.Stdin); err != nil {
		return err
	}
	return w.Close()
}

// ageKeygen is as much of age-keygen: -pq -o FILE, and -y FILE.
func ageKeygen() {
	exitOn(func() error {
		if len(os.Args) == 4 && os.Args[1] == "-pq" && os.Args[2] == "-o" {
			id, err := age.GenerateHybridIdentity()
			if err != nil {
				return err
			}
			return os.WriteFile(os.Args[3], fmt.Appendf(nil, "# public key: %s\n%s\n", id.Recipient(), id), 0o600)
		}
		if len(os.Args) != 3 || os.Args[1] != "-y" {
			return fmt.Errorf("this one does not know %q", os.Args[1:])
		}
		ids, err := identitiesIn(os.Args[2])
		if err != nil {
			return err
		}
		for _, id := range ids {
			if h, ok := id.(*age.HybridIdentity); ok {
				fmt.Println(h.Recipient())
			}
		}
		return nil
	}())
}

func identitiesIn(file string) ([]age.Identity, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return age.ParseIdentities(f)
}

func exitOn(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// byHand writes the ways with age alone that docs/secrets.md has, as scripts.
func byHand(folder string) error {
	text, err := os.ReadFile("../../docs/secrets.md")
	if err != nil {
		return err
	}
	_, rest, found := strings.Cut(string(text), "\nWith age alone, and the fleet's objects:\n")
	if !found {
		return errors.New("docs/secrets.md has no way with age alone")
	}
	for _, name := range []string{"by-hand.sh", "by-hand-former.sh", "by-hand-again.sh"} {
		_, block, begins := strings.Cut(rest, "```sh\n")
		script, after, ends := strings.Cut(block, "```")
		if !begins || !ends {
			return fmt.Errorf("docs/secrets.md lacks the block for %s", name)
		}
		rest, script = after, strings.ReplaceAll(script, "/var/lib/hanse", "$HANSE_DATA_DIR")
		if err := os.WriteFile(filepath.Join(folder, name), []byte(script), 0o600); err != nil {
			return err
		}
	}
	return nil
}
