package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/backup"
	"github.com/hanse-fleet/hanse/internal/durable"
)

// backupTimeout bounds a backup: it is as long as the state is large.
const backupTimeout = 30 * time.Minute

func backupVerb() *cli.Command {
	return &cli.Command{
		Name:  "backup",
		Usage: "write the fleet's state, encrypted, to a file or to S3",
		UsageText: `hanse backup -r age1… -o acme.hanse.age
hanse backup -R recipients.txt --to s3://bucket/prefix        credentials in AWS_*, or in ~/.aws/credentials`,
		Flags: append(connectionFlags(backupTimeout),
			&cli.StringSliceFlag{Name: "recipient", Aliases: []string{"r"}, Usage: "age RECIPIENT that can read it; repeatable"},
			&cli.StringSliceFlag{Name: "recipients-file", Aliases: []string{"R"}, Usage: "FILE with recipients, one a line; repeatable"},
			&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "FILE to write; - is stdout"},
			&cli.StringFlag{Name: "to", Usage: "place to write to, URL s3://bucket/prefix"},
			s3EndpointFlag(),
			&cli.BoolFlag{Name: "force", Usage: "replace the file, if it is there"},
			&cli.BoolFlag{Name: "stale", Usage: "take the asked member's own state: works without quorum, may lack the latest"},
		),
		Action: backupAction,
	}
}

func s3EndpointFlag() cli.Flag {
	return &cli.StringFlag{Name: "s3-endpoint", Usage: "URL of an S3 service that is not Amazon's [$AWS_ENDPOINT_URL]"}
}

func backupAction(c *cli.Context) error {
	ask, err := backupWanted(c)
	if err != nil {
		return during("backup", err)
	}
	f, err := connect(c, nil)
	if err != nil {
		return during("backup", err)
	}
	ctx, cancel := withTimeout(c)
	defer cancel()
	begun := time.Now()
	b, err := f.backup(ctx, ask)
	if err != nil {
		return during("backup", err)
	}
	defer b.body.Close()
	where, size, err := b.write(ctx, c)
	if err != nil {
		return during("backup", advised(err))
	}
	talk := c.App.ErrWriter
	if ask.Stale {
		fmt.Fprintf(talk, "warning: this is what %s has; the fleet may be further\n", b.header.Member)
	}
	fmt.Fprintf(talk, "fleet %s at revision %d, epoch %d: %d bytes to %s after %s\n",
		b.header.Fleet, b.header.Revision, b.header.Epoch, size, where, seconds(time.Since(begun)))
	if lacking := f.withoutRecovery(ctx); lacking != "" {
		fmt.Fprintln(talk, "warning: "+lacking)
	}
	fmt.Fprintln(talk, "  keep the key away from the backup; try it once: restore it into a folder that you throw away")
	return nil
}

// withoutRecovery is what of a backup nobody could read after it was restored on new machines, in words. That is no matter of the backup, which is
// made: a member that does not say is not asked again.
func (f *fleet) withoutRecovery(ctx context.Context) string {
	var s v1alpha1.FleetStatus
	if _, err := f.read(ctx, request{path: v1alpha1.PathStatus}, &s); err != nil {
		return ""
	}
	return withoutRecovery(s)
}

// advised is an error of a place with what to do about it.
func advised(err error) error {
	next := backup.Advice(err)
	if next == "" {
		return err
	}
	return &failure{code: exitError, why: err.Error(), hints: []hint{{words: next}}}
}

// backupWanted checks all that can be checked before anybody is asked.
func backupWanted(c *cli.Context) (ask v1alpha1.BackupRequest, err error) {
	if err := noNames(c); err != nil {
		return ask, err
	}
	ask.Stale = c.Bool("stale")
	ask.Recipients = c.StringSlice("recipient")
	for _, name := range c.StringSlice("recipients-file") {
		file, err := os.Open(name)
		if err != nil {
			return ask, usagef("recipients file %s: %s", name, innermost(err))
		}
		more, err := backup.RecipientsIn(file)
		file.Close()
		if err != nil {
			return ask, usagef("recipients file %s: %s", name, innermost(err))
		}
		ask.Recipients = append(ask.Recipients, more...)
	}
	if _, err := backup.ParseRecipients(ask.Recipients); err != nil {
		return ask, recipientHints(err)
	}
	file, place := c.String("output"), c.String("to")
	switch {
	case file == "" && place == "":
		return ask, usage("where to?", hint{words: "-o FILE, -o - for stdout, or --to s3://bucket/prefix"})
	case file != "" && place != "":
		return ask, usage("-o and --to are two places; say one")
	case place != "":
		if !strings.HasPrefix(place, "s3://") {
			return ask, usagef("--to %s: not s3://bucket/prefix; a file is named with -o", place)
		}
		if err := backup.CheckPlace(place); err != nil {
			return ask, usage(err.Error())
		}
	case file != "-" && !c.Bool("force"):
		if _, err := os.Lstat(file); err == nil {
			return ask, usage(file+" is there already; nothing was written", hint{words: "choose another name, or replace it with --force"})
		}
	case file == "-" && isTerminal(c.App.Writer):
		return ask, usage("a backup is no text for a terminal", hint{words: "write it with -o FILE"})
	}
	return ask, nil
}

func recipientHints(err error) error {
	switch {
	case errors.Is(err, backup.ErrNoRecipient):
		return usage(err.Error(), hint{words: "say who can read it: -r age1… or -R FILE; age-keygen -pq -o key.txt makes a key"})
	case errors.Is(err, backup.ErrMixed):
		return usage(err.Error(), hint{words: "make two backups, or give everyone a key of one kind"})
	}
	return usage(err.Error())
}

// backupStream is a backup on its way.
type backupStream struct {
	header backup.Header
	body   io.ReadCloser
	// size is known once the body was read to its end.
	size   func() string
	server string
}

// backup asks the member for a backup. Nothing changes in the fleet, so a failure is never an uncertain one.
func (f *fleet) backup(ctx context.Context, ask v1alpha1.BackupRequest) (*backupStream, error) {
	client, err := rest.HTTPClientFor(f.config)
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(ask)
	if err != nil {
		return nil, err
	}
	var resp *http.Response
	if err := f.patiently(ctx, func() (err error) {
		resp, err = f.askBackup(ctx, client, body)
		return err
	}); err != nil {
		return nil, f.noBackup(ctx, err)
	}
	b := &backupStream{body: resp.Body, size: func() string { return resp.Trailer.Get(v1alpha1.TrailerBackupSize) }, server: f.server}
	if err := json.Unmarshal([]byte(resp.Header.Get(v1alpha1.HeaderBackup)), &b.header); err != nil {
		resp.Body.Close()
		return nil, fmt.Errorf("%s answers what is no backup", f.server)
	}
	return b, nil
}

// left is how long the asker still waits; the member itself bounds how long it looks for a quorum.
func left(ctx context.Context) time.Duration {
	if deadline, ok := ctx.Deadline(); ok {
		return time.Until(deadline)
	}
	return backupTimeout
}

// askBackup asks once. What the member refuses is a StatusError, if it says why.
func (f *fleet) askBackup(ctx context.Context, client *http.Client, body []byte) (*http.Response, error) {
	url := strings.TrimSuffix(f.config.Host, "/") + v1alpha1.PathBackup + "?timeout=" + left(ctx).String()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", typeJSON)
	req.Header.Set("User-Agent", f.config.UserAgent)
	resp, err := client.Do(req)
	if err != nil || resp.StatusCode == http.StatusOK {
		return resp, err
	}
	defer resp.Body.Close()
	var status metav1.Status
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxToken)).Decode(&status); err != nil {
		return nil, &failure{code: exitError, why: f.server + " answers " + resp.Status}
	}
	return nil, &apierrors.StatusError{ErrStatus: status}
}

// noBackup is why there is none.
func (f *fleet) noBackup(ctx context.Context, err error) error {
	var out *failure
	if errors.As(err, &out) {
		return out
	}
	if hasCause(err, causeNoQuorum) && errors.As(f.noQuorum(ctx, err), &out) {
		out.hints = []hint{{words: "nothing was written; take what this member has with --stale, or ask again when a majority is back"}}
		return out
	}
	return f.explain(ctx, request{verb: "GET"}, err)
}

// write puts the backup where it is to lie: whole, or not at all.
func (b *backupStream) write(ctx context.Context, c *cli.Context) (where string, size int64, err error) {
	if place := c.String("to"); place != "" {
		where = strings.TrimSuffix(place, "/") + "/" + b.header.Name()
		to, err := backup.OpenPlace(place, backup.Settings{Endpoint: c.String("s3-endpoint")})
		if err != nil {
			return where, 0, usage(err.Error())
		}
		size, err = to.Put(ctx, b.header.Name(), b.copy)
		return where, size, err
	}
	if file := c.String("output"); file != "-" {
		if err := writable(filepath.Dir(file)); err != nil {
			return file, 0, err
		}
		size, err = durable.WriteFile(file, b.copy)
		return file, size, err
	}
	if err := b.copy(c.App.Writer); err != nil {
		return "stdout", 0, err
	}
	size, err = strconv.ParseInt(b.size(), 10, 64)
	return "stdout", size, err
}

func writable(folder string) error {
	if info, err := os.Stat(folder); err != nil || !info.IsDir() {
		return usagef("there is no folder %s", folder)
	}
	return nil
}

// copy passes the backup on, and fails unless it came whole.
func (b *backupStream) copy(to io.Writer) error {
	n, err := io.Copy(to, b.body)
	if err != nil {
		return fmt.Errorf("%s broke off after %d bytes: %s", b.server, n, innermost(err))
	}
	if b.size() != strconv.FormatInt(n, 10) {
		return fmt.Errorf("%s broke off after %d bytes", b.server, n)
	}
	return nil
}
