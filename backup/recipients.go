package backup

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"filippo.io/age"
)

// ErrNoRecipient refuses a backup that everybody could read.
var ErrNoRecipient = errors.New("no recipient: a backup is never written unencrypted")

// ErrMixed refuses recipients that age does not put into one file: a file is post-quantum safe for all, or for none.
var ErrMixed = errors.New("post-quantum recipients (age1pq1…) and others (age1…) cannot share one backup")

// ParseRecipients reads age recipients, one a text. They are checked as a whole, so that a backup does not fail later.
func ParseRecipients(texts []string) ([]age.Recipient, error) {
	var all []age.Recipient
	var quantum int
	for _, text := range texts {
		text = strings.TrimSpace(text)
		if strings.HasPrefix(text, "AGE-SECRET-KEY-") {
			return nil, errors.New("that is a secret key, not a recipient; its recipient is the line that begins with age1")
		}
		parsed, err := age.ParseRecipients(strings.NewReader(text))
		if err != nil || len(parsed) != 1 {
			return nil, fmt.Errorf("%q is no age recipient (age1…)", shorten(text))
		}
		if _, ok := parsed[0].(*age.HybridRecipient); ok {
			quantum++
		}
		all = append(all, parsed[0])
	}
	switch {
	case len(all) == 0:
		return nil, ErrNoRecipient
	case quantum > 0 && quantum < len(all):
		return nil, ErrMixed
	}
	return all, nil
}

// maxRecipientsFile holds some thirty post-quantum recipients. More would not fit into a request.
const maxRecipientsFile = 64 << 10

// RecipientsIn returns the lines of a recipients file: blank ones and those that begin with # do not count.
func RecipientsIn(file io.Reader) ([]string, error) {
	data, err := io.ReadAll(io.LimitReader(file, maxRecipientsFile+1))
	switch {
	case err != nil:
		return nil, err
	case len(data) > maxRecipientsFile:
		return nil, fmt.Errorf("it is no list of recipients: it has more than %d KiB", maxRecipientsFile>>10)
	}
	var texts []string
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			texts = append(texts, line)
		}
	}
	return texts, nil
}

func shorten(s string) string {
	if len(s) > 20 {
		return s[:20] + "…"
	}
	return s
}
