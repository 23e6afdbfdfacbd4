package report

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/hanse-fleet/hanse/consensus/store"
)

// Kind is the stream on which members tell each other what they see. Whoever opens it speaks; when it follows, the
// other side answers on the same stream, in the same form:
//
//	repeated: uint32 length, big endian | a bulletin, JSON
const Kind = "report"

const (
	// maxBulletin bounds one frame, and fullBulletin is what a sender stays near: reports go one bundle at a time, so a
	// bulletin ends where it is full, and the next one goes on.
	maxBulletin  = 1 << 20
	fullBulletin = 64 << 10
	// maxHops: follower, relay, server, server, relay, and one more for a change under way.
	maxHops = 6
	// maxAge bounds the ages that are told: longer ago says no more.
	maxAge = 24 * time.Hour
)

// bulletin is one frame: what its sender knows that the other side has not been told yet.
type bulletin struct {
	// Follows is set in the first bulletin of a stream by a member that takes its news from the other side.
	Follows bool `json:"follows,omitempty"`
	// Looks says that somebody looks at what others say, where the sender is or below, and is to hear of it at once; otherwise it comes with
	// the next sign of life. A member that does not know this word tells everything at once.
	Looks bool `json:"looks,omitempty"`
	// AsOf is how old the sender's knowledge of others is, in milliseconds: 0 unless it has it from a source itself.
	AsOf int64 `json:"asOf,omitempty"`
	// News begins with the sender's own.
	News []news `json:"news"`
}

// news is what is said of one member. Numbers grow with everything that the member says of itself, through all its
// lives, so what is older never takes the place of what is newer, whatever the way that it came. Ages are durations,
// in milliseconds: no two clocks are compared.
type news struct {
	ID     store.MemberID `json:"id"`
	Number uint64         `json:"n"`
	// Silent says that the sender hears of the member no more, since Age. Otherwise it does, for as long as it says
	// nothing else, and is heard itself.
	Silent bool `json:"silent,omitempty"`
	// Hops is how many members passed on that it lives. Beyond maxHops it is a rumour that goes in a circle.
	Hops     int            `json:"hops,omitempty"`
	Age      int64          `json:"age,omitempty"`
	Revision store.Revision `json:"revision"`
	Vitals   *Vitals        `json:"vitals,omitempty"`
	// Told is the number with which the member reported its bundles last, and ToldAge how long ago.
	Told    uint64 `json:"told,omitempty"`
	ToldAge int64  `json:"toldAge,omitempty"`
	// Names are all bundles that it reported at number NamesAt: others of before are gone. 0: not said here.
	NamesAt uint64   `json:"namesAt,omitempty"`
	Names   []string `json:"names,omitempty"`
	// Bundles are those that changed.
	Bundles []Bundle `json:"bundles,omitempty"`
	// Facts are what the member told last of its cluster and machine, at number FactsAt, FactsAge ago. 0: not said here.
	FactsAt  uint64          `json:"factsAt,omitempty"`
	FactsAge int64           `json:"factsAge,omitempty"`
	Facts    json.RawMessage `json:"facts,omitempty"`
}

func (w bulletin) asOf(now time.Time) time.Time { return ago(now, w.AsOf) }

// ago is so many milliseconds before now, at least 0 and at most maxAge.
func ago(now time.Time, ms int64) time.Time {
	return now.Add(-time.Duration(min(max(ms, 0), maxAge.Milliseconds())) * time.Millisecond)
}

// agedSince is ago's other direction.
func agedSince(at, now time.Time) int64 {
	return min(max(now.Sub(at), 0), maxAge).Milliseconds()
}

func writeBulletin(to io.Writer, w bulletin) error {
	data, err := json.Marshal(w)
	if err != nil {
		return fmt.Errorf("encode report: %w", err)
	}
	_, err = to.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(data))), data...))
	return err
}

func readBulletin(from io.Reader) (w bulletin, err error) {
	var size [4]byte
	if _, err := io.ReadFull(from, size[:]); err != nil {
		return w, err
	}
	n := binary.BigEndian.Uint32(size[:])
	if n > maxBulletin {
		return w, fmt.Errorf("report of %d bytes is over the limit of %d", n, maxBulletin)
	}
	data, err := io.ReadAll(io.LimitReader(from, int64(n))) // memory only for what has come
	if err != nil {
		return w, err
	}
	if len(data) != int(n) {
		return w, io.ErrUnexpectedEOF
	}
	if err := json.Unmarshal(data, &w); err != nil {
		return w, fmt.Errorf("read report: %w", err)
	}
	return w, w.check()
}

// check refuses what no member writes.
func (w bulletin) check() error {
	for _, n := range w.News {
		if n.ID == "" || n.Number == 0 || n.Hops < 0 {
			return errors.New("read report: news of nobody, without a number, or of fewer than no hops")
		}
	}
	return nil
}
