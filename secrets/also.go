package secrets

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
)

// MaxAlso is how many further Secrets one that is sealed may become.
const MaxAlso = 16

// Bound is a further Secret that what is sealed may become, as a line behind the first says: hanse/v1 NAMESPACE/NAME [KEY…]. Who may write what
// is not sealed cannot have a value written anywhere else.
type Bound struct {
	Target
	// Keys are the names of the values that may be used there; none are all.
	Keys []string
}

// Of are the values that may be used there. They are not copies.
func (b Bound) Of(data map[string][]byte) map[string][]byte {
	if len(b.Keys) == 0 {
		return data
	}
	some := make(map[string][]byte, len(b.Keys))
	for _, key := range b.Keys {
		if value, there := data[key]; there {
			some[key] = value
		}
	}
	return some
}

// line is it as it is sealed.
func (b Bound) line() string {
	return line + strings.Join(append([]string{b.Target.String()}, b.Keys...), " ") + "\n"
}

// checkBounds says whether further Secrets can be sealed with values for one.
func checkBounds(of Target, also []Bound, data map[string][]byte) error {
	if len(also) > MaxAlso {
		return fmt.Errorf("it names %d further Secrets, more than the limit of %d", len(also), MaxAlso)
	}
	for i, b := range also {
		if err := b.Validate(); err != nil {
			return err
		}
		if b.Target == of || slices.ContainsFunc(also[:i], func(other Bound) bool { return other.Target == b.Target }) {
			return fmt.Errorf("the Secret %s is named twice", b.Target)
		}
		for _, key := range b.Keys {
			if _, there := data[key]; !there {
				return fmt.Errorf("the Secret %s is to have the value of %q, and there is none", b.Target, key)
			}
		}
	}
	return nil
}

// cutBounds takes the lines of further Secrets from what is behind the first line. The error has nothing of them.
func cutBounds(body []byte) (also []Bound, rest []byte, err error) {
	for rest = body; bytes.HasPrefix(rest, []byte(line)); {
		first, behind, _ := bytes.Cut(rest[len(line):], []byte("\n"))
		b, ok := parseBound(string(bytes.TrimSuffix(first, []byte("\r"))))
		if !ok || len(also) == MaxAlso {
			return nil, nil, fmt.Errorf("each line behind the first, up to %d, must name a further Secret, and may name some of its keys: %sNAMESPACE/NAME KEY", MaxAlso, line)
		}
		also, rest = append(also, b), behind
	}
	return also, rest, nil
}

func parseBound(text string) (b Bound, ok bool) {
	names := strings.Split(text, " ")
	b.Namespace, b.Name, ok = strings.Cut(names[0], "/")
	for _, key := range names[1:] {
		ok = ok && len(validation.IsConfigMapKey(key)) == 0
	}
	b.Keys = names[1:]
	return b, ok && b.Validate() == nil
}

// errUnbound means that what is sealed does not name a Secret that it is to become.
var errUnbound = errors.New("what is sealed does not name it: seal the values again with --also, or take it out")

// BoundTo finds a further Secret among those that what is sealed names.
func BoundTo(t Target, also []Bound) (Bound, error) {
	i := slices.IndexFunc(also, func(b Bound) bool { return b.Target == t })
	if i < 0 {
		return Bound{}, fmt.Errorf("the Secret %s: %w", t, errUnbound)
	}
	return also[i], nil
}
