package store

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	iradix "github.com/hashicorp/go-immutable-radix/v2"
)

// Where the membership lies.
const (
	// KeyMembers has a Member for every current incarnation. It is the allow-list: who is not in it is refused,
	// except while it is empty, when the transaction that founds the fleet fills it.
	KeyMembers = "/members/"
	// KeyRemoved has a Removed for every incarnation that was a member, for ever.
	KeyRemoved = "/removed/"
)

// Pin is the SHA-256 of a member's public key (SPKI). It is hex in JSON.
type Pin [32]byte

func (p Pin) String() string { return hex.EncodeToString(p[:]) }

// MarshalText writes hex.
func (p Pin) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads hex.
func (p *Pin) UnmarshalText(text []byte) error {
	if len(text) != hex.EncodedLen(len(p)) {
		return fmt.Errorf("pin of %d characters", len(text))
	}
	_, err := hex.Decode(p[:], text)
	return err
}

// Member is the value, as JSON, of /members/<id>. Write one with PutMember.
type Member struct {
	ID      MemberID `json:"id"`
	Cluster string   `json:"cluster"`
	Region  string   `json:"region"`
	// Eligible says that the member may become a voter.
	Eligible bool `json:"eligible,omitempty"`
	// Certificate is DER. It may be replaced by another one of the same key; the Pin stays for life.
	Certificate []byte `json:"certificate,omitempty"`
	Pin         Pin    `json:"pin"`
	// Addresses are UDP host:port, Server the URL of the member's API.
	Addresses []string `json:"addresses,omitempty"`
	Server    string   `json:"server,omitempty"`
	Rights    string   `json:"rights,omitempty"`
	// Applies is the newest version of the log that the member's program can apply; 0 is 1.
	Applies uint64 `json:"applies,omitempty"`
}

// Removed is the value, as JSON, of /removed/<id>: it tells the incarnation that it was removed, and keeps its id
// and its pin from ever being used again. RemoveMember writes it.
type Removed struct {
	ID  MemberID  `json:"id"`
	Pin Pin       `json:"pin"`
	At  time.Time `json:"at"`
}

// PutMember writes a member, new or changed.
func PutMember(m Member) Op { return Put(KeyMembers+string(m.ID), mustJSON(m)) }

// RemoveMember ends a membership. The two ops belong into one transaction; the store refuses one without the other.
func RemoveMember(m Member, at time.Time) []Op {
	removed := Removed{ID: m.ID, Pin: m.Pin, At: at.UTC().Truncate(time.Second)}
	return []Op{Delete(KeyMembers + string(m.ID)), Put(KeyRemoved+string(m.ID), mustJSON(removed))}
}

// mustJSON encodes a Member or a Removed, which cannot fail: a time out of JSON's range is not one that a clock shows.
func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

// Members returns the current members, sorted by id.
func (v *View) Members() []Member {
	all := make([]Member, 0, v.roster.members.Len())
	it := v.roster.members.Root().Iterator()
	for _, m, ok := it.Next(); ok; _, m, ok = it.Next() {
		all = append(all, *m)
	}
	return all
}

// Member returns a current member.
func (v *View) Member(id MemberID) (Member, bool) {
	m, ok := v.roster.members.Get([]byte(id))
	if !ok {
		return Member{}, false
	}
	return *m, true
}

// FindPin says whose pin it is, and whether that member was removed.
func (v *View) FindPin(p Pin) (id MemberID, removed, ok bool) {
	o, ok := v.roster.pins.Get(p[:])
	return o.id, o.removed, ok
}

// Removed returns an incarnation that was a member.
func (v *View) Removed(id MemberID) (Removed, bool) {
	r, ok := v.roster.removed.Get([]byte(id))
	if !ok {
		return Removed{}, false
	}
	return *r, true
}

// roster is what the keys under /members/ and /removed/ say, read once when they are written.
type roster struct {
	members *iradix.Tree[*Member]
	removed *iradix.Tree[*Removed]
	pins    *iradix.Tree[owner]
}

// owner of a pin.
type owner struct {
	id      MemberID
	removed bool
}

func newRoster() roster {
	return roster{members: iradix.New[*Member](), removed: iradix.New[*Removed](), pins: iradix.New[owner]()}
}

// isRoster says whether a key is part of the membership.
func isRoster(key string) bool {
	return strings.HasPrefix(key, KeyMembers) || strings.HasPrefix(key, KeyRemoved)
}

// put takes over a key that checkRoster has let pass.
func (r roster) put(key string, value []byte) roster {
	if strings.HasPrefix(key, KeyMembers) {
		m, _ := parseMember(key, value)
		r.members, _, _ = r.members.Insert([]byte(m.ID), m)
		r.pins, _, _ = r.pins.Insert(m.Pin[:], owner{id: m.ID})
		return r
	}
	gone, _ := parseRemoved(key, value)
	r.removed, _, _ = r.removed.Insert([]byte(gone.ID), gone)
	r.pins, _, _ = r.pins.Insert(gone.Pin[:], owner{id: gone.ID, removed: true})
	return r
}

// delete strikes a member; its pin stays with what put writes for /removed/.
func (r roster) delete(key string) roster {
	r.members, _, _ = r.members.Delete([]byte(strings.TrimPrefix(key, KeyMembers)))
	return r
}

// parseMember takes only what PutMember writes, byte for byte: the leniency of a JSON decoder may change with its
// version, and members must not differ about who is one.
func parseMember(key string, value []byte) (*Member, *Invalid) {
	var m Member
	if err := json.Unmarshal(value, &m); err != nil || !bytes.Equal(mustJSON(m), value) {
		return nil, invalidf("%s is no member", key)
	}
	if m.ID == "" || KeyMembers+string(m.ID) != key {
		return nil, invalidf("%s has the id of another member", key)
	}
	if m.Pin == (Pin{}) {
		return nil, invalidf("%s has no pin", key)
	}
	return &m, nil
}

func parseRemoved(key string, value []byte) (*Removed, *Invalid) {
	var r Removed
	if err := json.Unmarshal(value, &r); err != nil || !bytes.Equal(mustRemoved(r), value) {
		return nil, invalidf("%s is no removed member", key)
	}
	if r.ID == "" || KeyRemoved+string(r.ID) != key {
		return nil, invalidf("%s has the id of another member", key)
	}
	return &r, nil
}

// mustRemoved is nil for a time that JSON cannot hold.
func mustRemoved(r Removed) []byte {
	b, err := json.Marshal(r)
	if err != nil {
		return nil
	}
	return b
}
