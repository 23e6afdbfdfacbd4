package reconcile

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// The inventory of a bundle is the list of the objects that this cluster's member applied, or is about to apply, for
// it. It is the only ground on which anything is deleted. It lies in ConfigMaps of one generation: chunks, which
// hold the list, and the head, which is written after them and says which generation counts, how many chunks it has
// and what they add up to. So a list that was half written is one that no head speaks of, and a list that lost a
// chunk does not add up: it is damaged, and nothing is deleted. A short list has no chunks: it lies in the head. Heads of many bundles
// share a ConfigMap, each under the bundle's name.
//
//	head   a JSON object: format, generation, chunks, sha256, bundle, bundleUID, revision, storeRevision, epoch, epochID, deletion, corrected, kinds, namespaces
//	chunk  data: objects = lines of JSON ["group","version","kind","namespace","name","uid"], sorted; one that is let go of ends in "orphaned"
//
// Format 1 has chunks; format 2 has none, and its head has objects as a chunk has.
type inventory struct {
	bundle, bundleUID string
	// revision is the one that was carried out last, whole; empty before the first was.
	revision string
	// storeRevision is that of the grant that was begun last.
	storeRevision uint64
	// epoch and epochID are the Epoch's that this grant came from.
	epoch    uint64
	epochID  string
	deletion v1alpha1.DeletionPolicy
	// corrected is the number of the correction that was carried out last.
	corrected int64
	// entries by key. A UID is empty until the object was applied.
	entries map[key]entry

	generation uint64
}

// entry is what the inventory knows of an object besides its key.
type entry struct {
	version string
	uid     types.UID
	// orphaned says that it left the bundle by a revision of policy Orphan: it is let go of, whatever later ones say.
	orphaned bool
}

const (
	formatChunks = "1"
	formatHead   = "2"
	// maxInHead is how long a list may be that lies in the head: that is written twice for each revision, with chunks or without. Nor does the
	// head tell more of kinds and of namespaces.
	maxInHead = 4 << 10
	// maxChunk bounds a chunk, well below what etcd takes (1 MiB).
	maxChunk = 256 << 10
)

// errDamaged means that an inventory is there and cannot be trusted.
var errDamaged = errors.New("inventory is damaged")

// encode is what the head and the chunks of the inventory hold: none of a list that is short enough for the head.
func (inv inventory) encode(inHead, limit int) (head map[string]string, chunks []string, err error) {
	lines, err := inv.lines()
	if err != nil {
		return nil, nil, err
	}
	var chunk strings.Builder
	for _, line := range lines {
		if chunk.Len() > 0 && chunk.Len()+len(line) > limit {
			chunks = append(chunks, chunk.String())
			chunk.Reset()
		}
		chunk.WriteString(line)
	}
	chunks = append(chunks, chunk.String())
	head = map[string]string{
		"format": formatChunks, "bundle": inv.bundle, "bundleUID": inv.bundleUID, "revision": inv.revision,
		"storeRevision": strconv.FormatUint(inv.storeRevision, 10), "deletion": string(inv.deletion),
		"epoch": strconv.FormatUint(inv.epoch, 10), "epochID": inv.epochID,
		"generation": strconv.FormatUint(inv.generation, 10), "chunks": strconv.Itoa(len(chunks)), "sha256": sumOf(chunks),
	}
	for field, said := range map[string]string{headKinds: inv.groupKinds(), headNamespaces: inv.namespaces()} {
		if said != "" && len(said) <= maxInHead {
			head[field] = said
		}
	}
	if inv.corrected > 0 {
		head["corrected"] = strconv.FormatInt(inv.corrected, 10)
	}
	if len(chunks) == 1 && len(chunks[0]) <= inHead {
		head["format"], head["chunks"], head[chunkKey], chunks = formatHead, "0", chunks[0], nil
	}
	return head, chunks, nil
}

// isShort says that the list is short enough for the head.
func (inv inventory) isShort() bool {
	_, chunks, err := inv.encode(maxInHead, maxChunk)
	return err == nil && len(chunks) == 0
}

// The fields of a head that its ConfigMap tells of in annotations.
const (
	headKinds      = "kinds"
	headNamespaces = "namespaces"
)

// writeHead is a head as it lies in a shard.
func writeHead(head map[string]string) (string, error) {
	raw, err := json.Marshal(head)
	if err != nil {
		return "", fmt.Errorf("encode inventory: %w", err)
	}
	return string(raw), nil
}

// parseHead undoes writeHead. Every error wraps errDamaged.
func parseHead(raw string) (head map[string]string, err error) {
	if err := json.Unmarshal([]byte(raw), &head); err != nil {
		return nil, fmt.Errorf("%w: its head is garbled", errDamaged)
	}
	return head, nil
}

// lineOrphaned ends the line of an entry that is let go of.
const lineOrphaned = "orphaned"

func (inv inventory) lines() ([]string, error) {
	keys := inv.keys()
	lines := make([]string, 0, len(keys))
	for _, k := range keys {
		e := inv.entries[k]
		fields := []string{k.Group, e.version, k.Kind, k.namespace, k.name, string(e.uid)}
		if e.orphaned {
			fields = append(fields, lineOrphaned)
		}
		line, err := json.Marshal(fields)
		if err != nil {
			return nil, fmt.Errorf("encode inventory: %w", err)
		}
		lines = append(lines, string(line)+"\n")
	}
	return lines, nil
}

// keys of the entries, sorted.
func (inv inventory) keys() []key { return sortedKeys(inv.entries) }

func sumOf(chunks []string) string {
	h := sha256.New()
	for _, c := range chunks {
		fmt.Fprintf(h, "%d\n%s", len(c), c)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// decode is the reverse of encode. chunk returns the content of a chunk of a generation. Every error wraps errDamaged.
func decode(head map[string]string, chunk func(generation uint64, i int) (string, bool)) (inventory, error) {
	damaged := func(what string) (inventory, error) { return inventory{}, fmt.Errorf("%w: %s", errDamaged, what) }
	if head["format"] != formatChunks && head["format"] != formatHead {
		return damaged(fmt.Sprintf("format %q is not known", clip(head["format"], maxName)))
	}
	generation, errG := strconv.ParseUint(head["generation"], 10, 64)
	store, errS := strconv.ParseUint(head["storeRevision"], 10, 64)
	epoch, errE := strconv.ParseUint(head["epoch"], 10, 64)
	n, errN := strconv.Atoi(head["chunks"])
	corrected, _ := strconv.ParseInt(head["corrected"], 10, 64) // none was when it does not say
	if errG != nil || errS != nil || errE != nil || errN != nil || (n < 1) != (head["format"] == formatHead) || head["bundle"] == "" {
		return damaged("its head is garbled")
	}
	var chunks []string
	if head["format"] == formatHead {
		chunks = []string{head[chunkKey]}
	}
	for i := range n {
		c, found := chunk(generation, i)
		if !found {
			return damaged(fmt.Sprintf("part %d of %d is missing", i+1, n))
		}
		chunks = append(chunks, c)
	}
	if sumOf(chunks) != head["sha256"] {
		return damaged("its parts were changed")
	}
	inv := inventory{
		bundle: head["bundle"], bundleUID: head["bundleUID"], revision: head["revision"], storeRevision: store,
		epoch: epoch, epochID: head["epochID"], corrected: corrected,
		deletion: v1alpha1.DeletionPolicy(head["deletion"]), generation: generation, entries: map[key]entry{},
	}
	for _, c := range chunks {
		if err := inv.read(c); err != nil {
			return damaged(err.Error())
		}
	}
	return inv, nil
}

func (inv inventory) read(chunk string) error {
	for line := range strings.Lines(chunk) {
		var f []string
		if err := json.Unmarshal([]byte(line), &f); err != nil || len(f) < 6 || len(f) > 7 || len(f) == 7 && f[6] != lineOrphaned {
			return errors.New("a line is garbled")
		}
		k := key{schema.GroupKind{Group: f[0], Kind: f[2]}, f[3], f[4]}
		inv.entries[k] = entry{version: f[1], uid: types.UID(f[5]), orphaned: len(f) == 7}
	}
	return nil
}

// clone is a copy that can be changed without changing inv.
func (inv inventory) clone() inventory {
	inv.entries = maps.Clone(inv.entries)
	return inv
}

// groupKinds and namespaces are what the bundle's shard tells of it, see union.
func (inv inventory) groupKinds() string {
	var gks []string
	for k := range inv.entries {
		gks = append(gks, k.GroupKind.String())
	}
	slices.Sort(gks)
	return strings.Join(slices.Compact(gks), ",")
}

func (inv inventory) namespaces() string {
	var out []string
	for k := range inv.entries {
		if k.namespace != "" && k.namespace != Namespace {
			out = append(out, k.namespace)
		}
	}
	slices.Sort(out)
	return strings.Join(slices.Compact(out), ",")
}
