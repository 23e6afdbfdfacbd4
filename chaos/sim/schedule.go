package sim

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// Schedule is all that a run is made from: who the fleet is, what clients do, and what happens to it. It is a small
// file of lines, so that it can be kept, read, and cut down:
//
//	seed 7                       of everything that chance decides while it runs
//	length 30s                   of the load; the closing comes after it
//	voters 5                     how many members vote, when not as many as by default
//	member fra eu                a cluster and its region; the first one founds the fleet
//	member lim sa never          one that never votes, and writes nothing but its own objects
//	client 3 fra put             what a client does all the time, at a member
//	12.5s isolate fra 4s         what happens, when, to whom, and for how long
type Schedule struct {
	Seed    uint64
	Length  time.Duration
	Voters  int32 // 0: the default
	Members []Site
	Clients []Client
	Events  []Event
}

// Site is a member of the fleet from the start.
type Site struct {
	Name, Region string
	Never        bool // it never votes
}

// Client repeats one thing at one member.
type Client struct {
	ID     int
	Member string
	Does   string // put, swap, get or list
}

// Event is something that happens.
type Event struct {
	At   time.Duration
	What string
	Whom string // a member, or whoever is the leader then; a region; two members a>b
	For  time.Duration
}

func (e Event) String() string {
	return strings.TrimSpace(fmt.Sprintf("%s %s %s", e.At, e.What, e.Whom)) + forText(e.For)
}

// voters is how many are to vote.
func (s Schedule) voters() int32 { return cmp.Or(s.Voters, v1alpha1.DefaultVoters) }

func forText(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return " " + d.String()
}

// String is the schedule as a file.
func (s Schedule) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d\nlength %s\n", s.Seed, s.Length)
	if s.Voters != 0 {
		fmt.Fprintf(&b, "voters %d\n", s.Voters)
	}
	for _, m := range s.Members {
		never := ""
		if m.Never {
			never = " never"
		}
		fmt.Fprintf(&b, "member %s %s%s\n", m.Name, m.Region, never)
	}
	for _, c := range s.Clients {
		fmt.Fprintf(&b, "client %d %s %s\n", c.ID, c.Member, c.Does)
	}
	for _, e := range s.Events {
		fmt.Fprintln(&b, e)
	}
	return b.String()
}

// Read reads a schedule. Empty lines and those that begin with # mean nothing.
func Read(r io.Reader) (s Schedule, err error) {
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		words := strings.Fields(lines.Text())
		if len(words) == 0 || words[0][0] == '#' {
			continue
		}
		if err := s.line(words); err != nil {
			return s, fmt.Errorf("line %d of the schedule: %w", n, err)
		}
	}
	if len(s.Members) == 0 {
		return s, fmt.Errorf("the schedule has no members")
	}
	return s, lines.Err()
}

func (s *Schedule) line(words []string) (err error) {
	switch {
	case words[0] == "seed" && len(words) == 2:
		s.Seed, err = strconv.ParseUint(words[1], 10, 64)
	case words[0] == "length" && len(words) == 2:
		s.Length, err = time.ParseDuration(words[1])
	case words[0] == "voters" && len(words) == 2:
		var n int64
		n, err = strconv.ParseInt(words[1], 10, 32)
		s.Voters = int32(n)
	case words[0] == "member" && (len(words) == 3 || len(words) == 4 && words[3] == "never"):
		s.Members = append(s.Members, Site{Name: words[1], Region: words[2], Never: len(words) == 4})
	case words[0] == "client" && len(words) == 4:
		c := Client{Member: words[2], Does: words[3]}
		c.ID, err = strconv.Atoi(words[1])
		s.Clients = append(s.Clients, c)
	default:
		var e Event
		e, err = event(words)
		s.Events = append(s.Events, e)
	}
	return err
}

func event(words []string) (e Event, err error) {
	if len(words) < 2 || len(words) > 4 {
		return e, fmt.Errorf("%q is none", strings.Join(words, " "))
	}
	if e.At, err = time.ParseDuration(words[0]); err != nil {
		return e, err
	}
	e.What = words[1]
	if _, known := happenings[e.What]; !known {
		return e, fmt.Errorf("nothing is called %q", e.What)
	}
	rest := words[2:]
	if last := len(rest) - 1; last >= 0 {
		if d, err := time.ParseDuration(rest[last]); err == nil {
			e.For, rest = d, rest[:last]
		}
	}
	if len(rest) > 0 {
		e.Whom = rest[0]
	}
	return e, nil
}
