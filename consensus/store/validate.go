package store

import (
	"strings"
	"unicode/utf8"
)

// Validate reports what makes the command one that no store would apply, as an *Invalid. Apply checks it again.
func (c Command) Validate() error {
	if err := c.invalid(); err != nil {
		return err
	}
	return nil
}

func (c Command) invalid() *Invalid {
	for _, name := range []string{string(c.Proposer), string(c.ID.Incarnation), c.Person, c.Epoch} {
		if len(name) > MaxKey || !utf8.ValidString(name) {
			return invalidf("name %q is no text of at most %d bytes", cut(name), MaxKey)
		}
	}
	switch {
	case (c.Txn != nil) == (c.Chunk != nil):
		return invalidf("a command is either a transaction or a chunk")
	case c.Txn == nil:
		return invalidChunk(c.Chunk)
	}
	return c.Txn.invalid()
}

func invalidChunk(data []byte) *Invalid {
	if len(data) == 0 || len(data) > MaxChunk {
		return invalidf("chunk of %d bytes, not 1 to %d", len(data), MaxChunk)
	}
	return nil
}

// Validate reports what makes the transaction one that no store would apply, as an *Invalid. Values may still be
// whole: those over MaxInline are split before they are proposed.
func (t Txn) Validate() error {
	if err := t.invalid(); err != nil {
		return err
	}
	return nil
}

func (t Txn) invalid() *Invalid {
	if len(t.If) > MaxOps || len(t.Then) > MaxOps {
		return invalidf("transaction of %d conditions and %d ops, not at most %d", len(t.If), len(t.Then), MaxOps)
	}
	for _, c := range t.If {
		if err := c.invalid(); err != nil {
			return err
		}
	}
	seen := make(map[string]bool, len(t.Then))
	total := 0
	for _, op := range t.Then {
		if err := op.invalid(); err != nil {
			return err
		}
		if seen[op.Key] {
			return invalidf("key %q twice in one transaction", op.Key)
		}
		seen[op.Key] = true
		total += len(op.Value)
	}
	return invalidTotal(total)
}

func invalidTotal(total int) *Invalid {
	if total > MaxTxn {
		return invalidf("transaction of %d bytes, not at most %d", total, MaxTxn)
	}
	return nil
}

func (c Condition) invalid() *Invalid {
	switch c.Kind {
	case conditionKeyAt, conditionKeyAbsent:
		return invalidKey(c.Key)
	case conditionPrefixUnchanged:
		if c.Key == "" {
			return nil
		}
		return invalidKey(c.Key)
	}
	return invalidf("condition of unknown kind %d", c.Kind)
}

func (o Op) invalid() *Invalid {
	if err := invalidKey(o.Key); err != nil {
		return err
	}
	switch {
	case o.Delete && (len(o.Value) > 0 || len(o.Chunks) > 0):
		return invalidf("key %q deleted with a value", o.Key)
	case len(o.Value) > 0 && len(o.Chunks) > 0:
		return invalidf("key %q with both a value and chunks", o.Key)
	case len(o.Value) > MaxValue:
		return invalidSize(o.Key, len(o.Value))
	}
	return nil
}

func invalidSize(key string, size int) *Invalid {
	return invalidf("value of %q has %d bytes, not at most %d", key, size, MaxValue)
}

// invalidKey holds for keys and for prefixes that are not empty.
func invalidKey(key string) *Invalid {
	switch {
	case !strings.HasPrefix(key, "/"):
		return invalidf("key %q does not begin with /", cut(key))
	case len(key) > MaxKey:
		return invalidf("key of %d bytes, not at most %d", len(key), MaxKey)
	case !utf8.ValidString(key) || strings.IndexByte(key, 0) >= 0:
		return invalidf("key %q is not text", cut(key))
	}
	return nil
}
