package apiserver

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

func fleetTable() table {
	return table{num("Voters", "how many members vote once that many are stable", func(f *v1alpha1.Fleet) int64 { return int64(f.Spec.Voters) })}
}

func clusterTable() table {
	type c = v1alpha1.Cluster
	return table{
		col("Region", "fault domain", func(c *c) string { return c.Spec.Region }),
		col("Ready", "whether the member is reachable", func(c *c) string { return ready(c.Status.Conditions) }),
		col("Voter", "part in the consensus", func(c *c) string { return string(c.Status.Voter) }),
		col("Version", "version of hanse", func(c *c) string { return c.Status.Version }),
		col("Kubernetes", "version of the cluster", func(c *c) string { return c.Status.KubernetesVersion }),
		onlyWide(col("Zone", "zone in the region", func(c *c) string { return c.Spec.Zone })),
		onlyWide(col("Voting", "whether the member may vote", func(c *c) string { return string(c.Spec.Voting) })),
		onlyWide(col("Rights", "what the member may write", func(c *c) string { return string(c.Spec.Rights) })),
		onlyWide(col("Takes", "what is given to the cluster: everything when empty", func(c *c) string { return takes(c) })),
		onlyWide(col("Disk", "whether the member's data directory is encrypted", func(c *c) string { return string(c.Status.DataDirectory) })),
		onlyWide(col("Endpoints", "where other members reach it", func(c *c) string { return strings.Join(c.Status.Endpoints, ",") })),
		onlyWide(col("Incarnation", "id of the member's data directory", func(c *c) string { return c.Status.Incarnation })),
	}
}

// takes is what keeps bundles out of a cluster, in a word.
func takes(c *v1alpha1.Cluster) string {
	var words []string
	s := c.Spec
	if u := c.Status.Unreachable; u != nil {
		words = append(words, "Unreachable: "+string(u.Phase))
	}
	if s.Availability != v1alpha1.AvailabilityActive && s.Availability != "" {
		words = append(words, string(s.Availability))
	}
	if n := len(s.Taints); n > 0 {
		words = append(words, v1alpha1.Counted(n, "1 taint", "%d taints"))
	}
	return strings.Join(words, ", ")
}

func userTable() table {
	return table{
		col("Role", "what the person may do", func(u *v1alpha1.User) string { return string(u.Spec.Role) }),
		onlyWide(col("Pin", "SHA-256 of the certificate's public key", func(u *v1alpha1.User) string { return u.Spec.Pin })),
	}
}

func bundleTable() table {
	type b = v1alpha1.Bundle
	return table{
		col("To", "where it goes", func(b *b) string { return where(b.Spec.Placement) }),
		col("Clusters", "clusters that are ready, of those granted", func(b *b) string {
			return fmt.Sprintf("%d/%d", b.Status.ReadyClusters, b.Status.Clusters)
		}),
		col("Ready", "whether every cluster runs the newest revision, healthy", func(b *b) string { return bundleReady(b) }),
		num("Objects", "manifests in the bundle", func(b *b) int64 { return int64(len(b.Spec.Manifests)) }),
		onlyWide(num("Generation", "how many times the spec changed", func(b *b) int64 { return b.Generation })),
		onlyWide(col("Revision", "revision that is rolled out", func(b *b) string { return b.Status.Revision })),
		onlyWide(col("Drift", "what happens to foreign changes", func(b *b) string { return string(b.Spec.Drift) })),
		onlyWide(col("Deletion", "what happens to objects that leave", func(b *b) string { return string(b.Spec.Deletion) })),
	}
}

// bundleReady does not call a bundle ready whose newest spec the leader has not looked at yet.
func bundleReady(b *v1alpha1.Bundle) string {
	if b.Status.ObservedGeneration != b.Generation {
		return "Pending"
	}
	return ready(b.Status.Conditions)
}

// where is a placement in a word.
func where(p v1alpha1.Placement) string {
	parts := slices.Clone(p.Clusters)
	if p.ClusterSelector != nil {
		selector := metav1.FormatLabelSelector(p.ClusterSelector)
		if selector == "" || selector == "<none>" {
			selector = "all"
		}
		parts = append(parts, selector)
	}
	if p.Expression != "" {
		parts = append(parts, "by expression")
	}
	if len(parts) == 0 {
		return "<none>"
	}
	to := strings.Join(parts, ",")
	if p.NumberOfClusters != nil {
		to = fmt.Sprintf("%d of %s", *p.NumberOfClusters, to)
	}
	return to
}

func revisionTable() table {
	type r = v1alpha1.BundleRevision
	return table{
		col("Bundle", "bundle that it keeps", func(r *r) string { return r.Spec.Bundle }),
		num("Generation", "generation of the bundle", func(r *r) int64 { return r.Spec.Generation }),
		num("Objects", "manifests in the revision", func(r *r) int64 { return int64(len(r.Spec.Manifests)) }),
	}
}

func rolloutTable() table {
	type r = v1alpha1.Rollout
	return table{
		col("Bundle", "bundle that is rolled out", func(r *r) string { return r.Spec.Bundle }),
		col("Phase", "where it is", func(r *r) string { return string(r.Status.Phase) }),
		col("Wave", "wave that was granted last, of all", func(r *r) string { return fmt.Sprintf("%d/%d", r.Status.Wave, len(r.Spec.Waves)) }),
		col("In change", "fault domains that it is changing", func(r *r) string { return strings.Join(r.Status.InChange, ",") }),
		col("Waits", "what it waits for, in short", waits),
		num("Owed", "clusters that get it on their return", func(r *r) int64 { return int64(len(r.Status.Owed)) }),
		onlyWide(col("Message", "what it waits for, and what to do", func(r *r) string { return r.Status.Message })),
		onlyWide(col("Revision", "revision that is rolled out", func(r *r) string { return r.Spec.Revision })),
		onlyWide(col("Soak", "how long a wave is healthy before the next", func(r *r) string { return r.Spec.Soak.Duration.String() })),
	}
}

// maxWaits is how many letters a column has for what a rollout waits for.
const maxWaits = 40

// waits is what a rollout waits for, so short that its line fits a terminal.
func waits(r *v1alpha1.Rollout) string {
	if d := r.Status.Deletions; d != nil && !r.Status.Phase.Ended() {
		return v1alpha1.Counted(d.Objects, "approval to delete 1 object", "approval to delete %d objects")
	}
	said := []rune(r.Status.Message)
	if len(said) <= maxWaits {
		return string(said)
	}
	return strings.TrimRight(string(said[:maxWaits-1]), " ,:;") + "…"
}

func workTable() table {
	type w = v1alpha1.Work
	return table{
		col("Bundle", "name of the bundle", func(w *w) string { return w.Spec.Bundle }),
		col("Cluster", "name of the cluster", func(w *w) string { return w.Spec.Cluster }),
		col("State", "how far the cluster is", workState),
		col("Objects", "healthy objects, of all", func(w *w) string { return fmt.Sprintf("%d/%d", w.Status.ReadyObjects, w.Status.Objects) }),
		num("Drift", "objects put right since the member started", func(w *w) int64 { return w.Status.DriftCorrected }),
		col("Seen", "how long ago the cluster's member was heard", func(w *w) string { return agoOf(w.Status.SeenAt) }),
		onlyWide(col("Wanted", "revision that the placement wants here", func(w *w) string { return w.Spec.Wanted })),
		onlyWide(col("Granted", "revision that the cluster may run", func(w *w) string { return w.Spec.Granted })),
		onlyWide(col("Applied", "revision that the cluster runs", func(w *w) string { return w.Status.Applied })),
		onlyWide(col("Problem", "the first of its problems, or what it waits for", func(w *w) string { return firstProblem(w) })),
	}
}

// workState is the one word that says most about a work: the reason why it is not ready, if it is not.
func workState(w *v1alpha1.Work) string {
	c := notReady(w)
	switch {
	case w.Spec.Wanted == "" && (c == nil || c.Reason != v1alpha1.ReasonHeld):
		return "Leaving"
	case c != nil:
		return c.Reason
	case w.Status.Drifted > 0:
		return "Drifted"
	case w.Status.Health == "":
		return string(v1alpha1.HealthUnknown)
	}
	return string(w.Status.Health)
}

// notReady is what a work's condition says that is not ready; nil of one that is.
func notReady(w *v1alpha1.Work) *metav1.Condition {
	c := meta.FindStatusCondition(w.Status.Conditions, v1alpha1.ConditionReady)
	if c == nil || c.Status == metav1.ConditionTrue {
		return nil
	}
	return c
}

// whyNotReady is what more is to be said than the reason.
func whyNotReady(c *metav1.Condition) string {
	if c == nil {
		return ""
	}
	return c.Message
}

func firstProblem(w *v1alpha1.Work) string {
	c := notReady(w)
	if len(w.Status.Problems) == 0 || c != nil && c.Status == metav1.ConditionUnknown {
		return whyNotReady(c)
	}
	p := w.Status.Problems[0]
	return fmt.Sprintf("%s/%s: %s", strings.ToLower(p.Kind), p.Name, p.Message)
}
