package apiserver

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/secrets"
)

func groupKind() kind {
	type g = v1alpha1.RecipientGroup
	return kind{
		kind: "RecipientGroup", owns: true, discreet: true, plural: "recipientgroups", singular: "recipientgroup", short: []string{"rg"},
		new: newOf[v1alpha1.RecipientGroup], newList: newOf[v1alpha1.RecipientGroupList], table: groupTable(func(g *g) []string { return g.Status.Holders() }),
		spec: func(obj runtime.Object) any { return obj.(*g).Spec },
		keepStatus: func(obj, old runtime.Object) {
			obj.(*g).Status = statusOf(old, func(o *g) v1alpha1.RecipientGroupStatus { return o.Status })
		},
		validate: func(_ string, obj runtime.Object) field.ErrorList { return validateGroup(obj.(*g)) },
	}
}

// validateGroup checks a group, and that people can read only by keys that are safe.
func validateGroup(g *v1alpha1.RecipientGroup) field.ErrorList {
	return append(v1alpha1.ValidateRecipientGroup(g), checkRecovery(g.Spec.RecoveryRecipients)...)
}

// checkRecovery checks spec.recoveryRecipients, one by one.
func checkRecovery(recipients []string) (errs field.ErrorList) {
	at := field.NewPath("spec", "recoveryRecipients")
	for i, text := range recipients {
		to, err := secrets.ParseRecipient(text)
		switch {
		case err != nil:
			errs = append(errs, field.Invalid(at.Index(i), field.OmitValueType{}, err.Error()))
		case to.String() != text:
			errs = append(errs, field.Invalid(at.Index(i), field.OmitValueType{}, "must be the recipient as age-keygen wrote it, with no space around it"))
		}
	}
	return errs
}

// groupTable lists the holders of each group as somebody knows them.
func groupTable(holders func(*v1alpha1.RecipientGroup) []string) table {
	type g = v1alpha1.RecipientGroup
	return table{
		col("Readers", "which clusters can read what is sealed for it", func(g *g) string {
			return where(v1alpha1.Placement{ClusterSelector: g.Spec.ClusterSelector})
		}),
		col("Holders", "clusters that hold its present key, and may read", func(g *g) string { return strings.Join(holders(g), ",") }),
		num("Recovery", "keys of people, kept offline, that can read as well: the fleet's and its own, as far as its present key is wrapped for them", recovers),
		num("Epoch", "how many keys it has had", func(g *g) int64 { return g.Status.Epoch }),
		onlyWide(col("Recipient", "its public key", func(g *g) string { return g.Status.Recipient })),
	}
}

// recovers counts the recovery recipients that the present key is wrapped for.
func recovers(g *v1alpha1.RecipientGroup) (n int64) {
	for w := range g.Status.Held() {
		if w.Cluster == "" {
			n++
		}
	}
	return n
}

func secretKind() kind {
	type s = v1alpha1.FleetSecret
	return kind{
		kind: "FleetSecret", owns: true, discreet: true, plural: "fleetsecrets", singular: "fleetsecret", short: []string{"fs"},
		new: newOf[v1alpha1.FleetSecret], newList: newOf[v1alpha1.FleetSecretList], table: secretTable(),
		spec: func(obj runtime.Object) any { return obj.(*s).Spec },
		selectable: func(obj runtime.Object) map[string]string {
			return map[string]string{"spec.group": obj.(*s).Spec.Group, "spec.namespace": obj.(*s).Spec.Namespace}
		},
		keepStatus: func(obj, old runtime.Object) {
			obj.(*s).Status = statusOf(old, func(o *s) v1alpha1.BundleStatus { return o.Status })
			keepRevealed(obj.(*s), statusOf(old, func(o *s) map[string]string { return o.Annotations }))
		},
		validate: func(_ string, obj runtime.Object) field.ErrorList { return validateSecret(obj.(*s)) },
	}
}

// keepRevealed makes the note of when a secret was revealed what it was, as nobody is told a value by writing that somebody was.
func keepRevealed(s *v1alpha1.FleetSecret, was map[string]string) {
	note, there := was[v1alpha1.AnnotationRevealed]
	if there {
		metav1.SetMetaDataAnnotation(&s.ObjectMeta, v1alpha1.AnnotationRevealed, note)
		return
	}
	delete(s.Annotations, v1alpha1.AnnotationRevealed)
}

// validateSecret checks a secret, and that it is sealed: whoever writes it plainly by mistake must not have it in the log.
func validateSecret(s *v1alpha1.FleetSecret) field.ErrorList {
	errs := v1alpha1.ValidateFleetSecret(s)
	if err := secrets.Check(s.Spec.Data); err != nil {
		errs = append(errs, field.Invalid(field.NewPath("spec", "data"), field.OmitValueType{}, err.Error()))
	}
	errs = append(errs, validateTemplate(field.NewPath("spec", "template"), s.Spec.Template)...)
	for i, also := range s.Spec.Also {
		errs = append(errs, validateTemplate(field.NewPath("spec", "also").Index(i).Child("template"), also.Template)...)
	}
	return errs
}

// validateTemplate checks what can be seen of a template without the values.
func validateTemplate(at *field.Path, template map[string]string) (errs field.ErrorList) {
	length := 0
	for _, key := range slices.Sorted(maps.Keys(template)) {
		length += len(key) + len(template[key])
		if err := secrets.CheckTemplate(template[key]); err != nil {
			errs = append(errs, field.Invalid(at.Key(key), field.OmitValueType{}, err.Error()))
		}
	}
	if length > secrets.MaxTemplate {
		errs = append(errs, field.TooLong(at, "", secrets.MaxTemplate))
	}
	return errs
}

// becomes are the Secrets that a secret becomes, in words.
func becomes(s *v1alpha1.FleetSecret) string {
	var all []string
	for _, target := range s.Targets() {
		all = append(all, target.Namespace+"/"+target.Name)
	}
	return strings.Join(all, ",")
}

func secretTable() table {
	type s = v1alpha1.FleetSecret
	return table{
		col("Group", "who can open it", func(s *s) string { return s.Spec.Group }),
		col("Secret", "the Secrets that it becomes in their clusters", becomes),
		col("Clusters", "clusters that have it, of those granted", func(s *s) string {
			return fmt.Sprintf("%d/%d", s.Status.ReadyClusters, s.Status.Clusters)
		}),
		col("Ready", "whether every cluster of the group has it as it is", func(s *s) string {
			return bundleReady(&v1alpha1.Bundle{ObjectMeta: metav1.ObjectMeta{Generation: s.Generation}, Status: s.Status})
		}),
		onlyWide(num("Generation", "how many times it was changed", func(s *s) int64 { return s.Generation })),
	}
}
