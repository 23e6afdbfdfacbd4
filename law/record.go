package law

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
)

// Who is a person that asks for a change, as the member that was asked knows them.
type Who struct {
	// Person is as the log names them; empty for a member that writes in its own name what people write.
	Person string
	// Through is the cluster whose member was asked.
	Through string
	Groups  []string
	// SourceIP and UserAgent say where the request came from.
	SourceIP, UserAgent string
}

// Bounds of what a record says that only the member knows which was asked.
const (
	maxGroups = 32
	maxFields = 32
	maxWord   = 256
	// maxSkew is how far from the log's own time, which is the leader's clock, a record may say that it was made: one from the
	// future would never be struck off. It is no shorter, as people write through members whose clocks are wrong, too.
	maxSkew = 24 * time.Hour
	// andMore stands behind the fields when there are more.
	andMore = "…"
)

// remembrance is how much of a change is remembered.
type remembrance int

const (
	nothing remembrance = iota
	// that it was: nobody writes a token twice, and what an admin strikes off is to be gone.
	theChange
	// what was before, as well.
	theChangeAndThePast
)

// remembered are the kinds whose changes leave a record.
var remembered = map[string]remembrance{
	v1alpha1.KeyFleets: theChangeAndThePast, v1alpha1.KeyUsers: theChangeAndThePast, v1alpha1.KeyBundles: theChangeAndThePast,
	v1alpha1.KeyClusters: theChangeAndThePast, v1alpha1.KeyObserving: theChangeAndThePast,
	v1alpha1.KeyRecipientGroups: theChangeAndThePast, v1alpha1.KeyFleetSecrets: theChangeAndThePast,
	KeyTokens: theChange, v1alpha1.KeyPasts: theChange, v1alpha1.KeyRollouts: theChange,
}

// record is a Change as the law writes it, byte for byte.
type record struct {
	Kind       string `json:"kind"`
	APIVersion string `json:"apiVersion"`
	Metadata   struct {
		Name    string `json:"name"`
		UID     string `json:"uid"`
		Created string `json:"creationTimestamp"`
	} `json:"metadata"`
	Spec v1alpha1.ChangeSpec `json:"spec"`
}

// recordOf writes down a person's change, all but the testimony.
func recordOf(v *store.View, c Change, read bundles) (record, error) {
	resource, name, err := audited(c.Key)
	if err != nil {
		return record{}, err
	}
	before, after := read.parts(c.Key, c.Before), read.parts(c.Key, c.After)
	if c.Before != nil && c.After != nil && after.uid() != before.uid() {
		return record{}, fmt.Errorf("%s keeps its uid as long as it is there; delete it first", Thing(c.Key))
	}
	r := record{Kind: "Change", APIVersion: v1alpha1.SchemeGroupVersion.String()}
	r.Spec = v1alpha1.ChangeSpec{
		Resource: resource, Name: name, UID: cmp.Or(after.uid(), before.uid()), Verb: c.verb(),
		By: c.Who.Person, ByUID: uidOf(v, c.Who.Person), Through: c.Who.Through, Size: int64(len(c.Before)),
	}
	if r.Spec.UID != "" && !soundUID.MatchString(r.Spec.UID) {
		return record{}, fmt.Errorf("%s has a uid that is none; leave metadata.uid out", Thing(c.Key))
	}
	if r.Spec.Verb == v1alpha1.ChangeUpdate {
		r.Spec.Fields = changed(before, after)
		r.Spec.Revealed = resource == fleetSecrets && slices.Equal(r.Spec.Fields, []string{"metadata.annotations"}) && revealed(before, after)
	}
	if resource == fleetSecrets && c.After != nil && before.note() != after.note() && (!r.Spec.Revealed || c.Who.Person == "") {
		return record{}, fmt.Errorf("%s has another %s, and only hanse secret get writes that, for whom it tells the value, and nothing beside it; leave it as it is",
			Thing(c.Key), v1alpha1.AnnotationRevealed)
	}
	kv, _ := v.Get(c.Key)
	r.Spec.Since = int64(kv.Modified)
	r.Metadata.Name = v1alpha1.ChangeName(resource, name, r.Spec.UID, uint64(kv.Modified))
	r.Metadata.UID = uuid.NewSHA1(uuid.NameSpaceOID, []byte(r.Metadata.Name)).String()
	if v.Has(r.key()) {
		return record{}, fmt.Errorf("the record of the change of %s is there already", Thing(c.Key))
	}
	return r, nil
}

// uidOf a person of the fleet tells them from whoever had the name before; guests and members have none.
func uidOf(v *store.View, person string) string {
	kv, _ := v.Get(v1alpha1.KeyUsers + person)
	if uid := (bundles{}).parts(kv.Key, kv.Value).uid(); soundUID.MatchString(uid) {
		return uid
	}
	return ""
}

// Plausible is a member's time, if the log's does not show that it is wrong.
func Plausible(at, log time.Time) time.Time {
	switch latest := log.Add(maxSkew / 2); {
	case log.IsZero():
		return at
	case at.Before(log):
		return log
	case at.After(latest):
		return latest
	}
	return at
}

// Enrolment records that a token let a cluster in, or a new member into one. It is the deed of whoever made the token, by the
// member that they made it through; nobody is named once that is forgotten. Only the leader writes it, with the change.
func Enrolment(v *store.View, c Change, token string) ([]store.Op, error) {
	var made record
	if kv, there := v.Get(v1alpha1.KeyChanges + v1alpha1.ChangeName(strings.Trim(KeyTokens, "/"), token, "", 0)); there {
		if err := json.Unmarshal(kv.Value, &made); err != nil {
			return nil, fmt.Errorf("read %s: %w", Thing(kv.Key), err)
		}
	}
	c.Who = Who{Person: made.Spec.By, Through: made.Spec.Through, Groups: made.Spec.Groups}
	r, err := recordOf(v, c, bundles{})
	if err != nil {
		return nil, err
	}
	r.Spec.ByUID, r.Spec.Token = made.Spec.ByUID, token
	return r.testified(c.Who, c.At).ops(c)
}

func (r record) key() string { return v1alpha1.KeyChanges + r.Metadata.Name }

// testified adds what only the member knows which was asked.
func (r record) testified(w Who, at time.Time) record {
	r.Metadata.Created = at.UTC().Format(time.RFC3339)
	r.Spec.SourceIP, r.Spec.UserAgent, r.Spec.Groups = word(w.SourceIP), word(w.UserAgent), nil
	for _, g := range w.Groups[:min(len(w.Groups), maxGroups)] {
		r.Spec.Groups = append(r.Spec.Groups, word(g))
	}
	return r
}

// ops write the record, and what was before the change: when a secret is revealed, nothing else was.
func (r record) ops(c Change) ([]store.Op, error) {
	op, err := Put(r.key(), r)
	if prefix, _ := splitKey(c.Key); err != nil || c.Before == nil || r.Spec.Revealed || remembered[prefix] != theChangeAndThePast {
		return []store.Op{op}, err
	}
	return []store.Op{op, store.Put(v1alpha1.KeyPasts+r.Metadata.Name, c.Before)}, nil
}

// audited splits a key into the plural and the name of what lies there.
func audited(key string) (resource, name string, err error) {
	prefix, name := splitKey(key)
	if name == "" || strings.Contains(name, "/") || !v1alpha1.Showable(name) {
		return "", "", fmt.Errorf("%s is no object's key", word(key))
	}
	return strings.Trim(prefix, "/"), name, nil
}

var soundUID = regexp.MustCompile(`^[A-Za-z0-9-]{1,64}$`)

func (c Change) verb() v1alpha1.ChangeVerb {
	switch {
	case c.Before == nil:
		return v1alpha1.ChangeCreate
	case c.After == nil:
		return v1alpha1.ChangeDelete
	}
	return v1alpha1.ChangeUpdate
}

// word is a text that may be shown anywhere, cut at its bound.
func word(s string) string {
	s = strings.Map(func(r rune) rune {
		if v1alpha1.Unshowable(r) {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	if len(s) <= maxWord {
		return s
	}
	end := maxWord
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end]
}

// parts are an object's metadata and spec, field by field; empty for what has none.
type parts struct {
	Metadata map[string]json.RawMessage `json:"metadata"`
	Spec     map[string]json.RawMessage `json:"spec"`
}

// parts reads an object. A bundle was read already.
func (r bundles) parts(key string, value []byte) (p parts) {
	if strings.HasPrefix(key, v1alpha1.KeyBundles) {
		if b, ok := r.in(value); ok {
			p = parts{Metadata: b.metadata, Spec: maps.Clone(b.content)}
			p.Spec["placement"], p.Spec["rollout"] = b.placement, b.rollout
			return p
		}
	}
	if json.Unmarshal(value, &p) != nil {
		return parts{}
	}
	return p
}

func (p parts) uid() (uid string) {
	if json.Unmarshal(p.Metadata["uid"], &uid) != nil {
		return ""
	}
	return uid
}

// peoples are the fields of the metadata that people write.
var peoples = []string{"annotations", "deletionTimestamp", "finalizers", "labels", "ownerReferences"}

// changed names the fields that differ, in order.
func changed(before, after parts) (fields []string) {
	for _, f := range peoples {
		if !bytes.Equal(before.Metadata[f], after.Metadata[f]) {
			fields = append(fields, "metadata."+f)
		}
	}
	all := maps.Clone(before.Spec)
	if all == nil {
		all = map[string]json.RawMessage{}
	}
	maps.Copy(all, after.Spec)
	for _, f := range slices.Sorted(maps.Keys(all)) {
		if bytes.Equal(before.Spec[f], after.Spec[f]) {
			continue
		}
		if len(fields) == maxFields {
			return append(fields, andMore)
		}
		fields = append(fields, "spec."+word(f))
	}
	return fields
}

// leavesRecord says that the write is of an object that people write, whoever does it: all but what a member says of itself, and
// what is taken away with another object, of which that one's record tells.
func (w write) leavesRecord() bool {
	switch {
	case remembered[w.prefix] == nothing, w.ofItself:
		return false
	case w.prefix == v1alpha1.KeyPasts:
		return w.op.Delete
	case w.prefix == v1alpha1.KeyObserving:
		return !w.op.Delete
	}
	return true
}

// strikesPast says that an admin takes away what was before a change. The change stays, and so does the record of this.
func (w write) strikesPast() bool { return w.op.Delete && w.before != nil && byOwnAdmin(w) }

// Forgets implements store.Forgetter: what an admin strikes off is not to be told by a watch from an old revision either. What the
// leader strikes off is only too old.
func (Authority) Forgets(who store.Asker, txn store.Txn) bool {
	if who.Leading && who.Person == "" {
		return false
	}
	return slices.ContainsFunc(txn.Then, func(op store.Op) bool { return op.Delete && strings.HasPrefix(op.Key, v1alpha1.KeyPasts) })
}

// fleetSecrets is the resource of sealed secrets.
var fleetSecrets = strings.Trim(v1alpha1.KeyFleetSecrets, "/")

// annotations are those of an object; none of what has none that can be read.
func (p parts) annotations() (all map[string]string) {
	if json.Unmarshal(p.Metadata["annotations"], &all) != nil {
		return nil
	}
	return all
}

// note says when a secret was revealed last; "" of one that never was.
func (p parts) note() string { return p.annotations()[v1alpha1.AnnotationRevealed] }

// revealed says that of the annotations the note that a secret was revealed was written anew, and no other one is different.
func revealed(before, after parts) bool {
	was, is := before.annotations(), after.annotations()
	delete(was, v1alpha1.AnnotationRevealed)
	delete(is, v1alpha1.AnnotationRevealed)
	return after.note() != "" && after.note() != before.note() && maps.Equal(was, is)
}

// record adds the record of the op to what must be written with it. Who wrote it, through whom and what, the law knows; groups,
// source and time are the word of the member that was asked.
func (w write) record(proposed map[string]store.Op) error {
	if !w.leavesRecord() {
		return nil
	}
	c := w.change()
	c.Who = Who{Person: w.asker.person, Through: w.asker.cluster}
	r, err := recordOf(w.view, c, w.read)
	if err != nil {
		return err
	}
	var said record
	if json.Unmarshal(proposed[r.key()].Value, &said) != nil {
		return fmt.Errorf("the record of the change of %s must be written with it", Thing(w.op.Key))
	}
	at, err := time.Parse(time.RFC3339, said.Metadata.Created)
	if err != nil {
		return fmt.Errorf("the record of the change of %s does not say when", Thing(w.op.Key))
	}
	if off := at.Sub(w.view.Time()); off.Abs() > maxSkew {
		return fmt.Errorf("the change of %s is of %s, and the leader's clock says %s: ask again, or set the clock of the member of %s", Thing(w.op.Key),
			at.UTC().Format(time.RFC3339), w.view.Time().UTC().Format(time.RFC3339), w.asker.cluster)
	}
	told := Who{Groups: said.Spec.Groups, SourceIP: said.Spec.SourceIP, UserAgent: said.Spec.UserAgent}
	ops, err := r.testified(told, at).ops(c)
	for _, op := range ops {
		w.with[op.Key] = op
	}
	return err
}
