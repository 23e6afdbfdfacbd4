package plan

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// GroupAtRisk says why nobody may be able to open what is sealed for a group, now or after one more loss, and what to do; "" when
// nothing is to be said. present are the clusters that are there now.
func GroupAtRisk(g *v1alpha1.RecipientGroup, clusters []*v1alpha1.Cluster, present func(cluster string) bool) string {
	holders, here := 0, 0
	selector, err := metav1.LabelSelectorAsSelector(g.Spec.ClusterSelector)
	if err != nil {
		return "the selector of group " + g.Name + " cannot be read: " + err.Error()
	}
	for _, c := range clusters { // who is picked no more wraps the key for nobody
		if !g.Holds(c.Name, c.Status.Recipient) || !selector.Matches(labels.Set(c.Labels)) {
			continue
		}
		if holders++; present(c.Name) {
			here++
		}
	}
	edit := "kubectl edit recipientgroups." + v1alpha1.GroupName + " " + g.Name
	switch {
	case g.Status.Epoch == 0:
		return "group " + g.Name + " has no key yet, and nothing can be sealed for it: a cluster that its selector picks makes one; " + edit
	case here == 0 && len(g.Spec.RecoveryRecipients) == 0:
		return "no cluster that holds the key of group " + g.Name + " is there, and nobody else can open what is sealed for it; bring one back"
	case here == 0:
		return "no cluster that holds the key of group " + g.Name + " is there; bring one back, or open what is sealed for it with a recovery key, and seal it for another group"
	case holders == 1 && len(g.Spec.RecoveryRecipients) == 0:
		return "only one cluster holds the key of group " + g.Name + ", and with it what is sealed for the group is lost; name a recovery recipient: " + edit
	}
	return ""
}

// KeyDuty is what one member is to do about the key of a group.
type KeyDuty struct {
	// Make says that the group has no key, and this member makes it.
	Make bool
	// Wrap are the clusters that the key is to be wrapped for, this member's own among them when it makes the key, and their recipients.
	Wrap []KeyReader
	// Waits says that there is something to do, and that it is another member's turn: when that one falls silent, it is a third one's.
	Waits bool
}

// KeyReader is a cluster that is to hold a key, or, without a cluster, a recovery recipient.
type KeyReader struct{ Cluster, Recipient string }

// Keys says what a cluster's member is to do about the key of a group. Of those that could do it, the first by name that is there does;
// that two do at once is seen in the log, where only one of them is in time. The clusters are in the order of their names.
func Keys(g *v1alpha1.RecipientGroup, clusters []*v1alpha1.Cluster, self string, there func(cluster string) bool) (duty KeyDuty, err error) {
	selector, err := metav1.LabelSelectorAsSelector(g.Spec.ClusterSelector)
	if err != nil {
		return KeyDuty{}, err
	}
	for _, recipient := range g.Spec.RecoveryRecipients {
		if !g.Holds("", recipient) {
			duty.Wrap = append(duty.Wrap, KeyReader{Recipient: recipient})
		}
	}
	mine := ""
	for _, c := range clusters {
		recipient := c.Status.Recipient
		if recipient == "" || !selector.Matches(labels.Set(c.Labels)) {
			continue
		}
		holds := g.Holds(c.Name, recipient)
		if !holds {
			duty.Wrap = append(duty.Wrap, KeyReader{c.Name, recipient})
		}
		if able := holds || g.Status.Epoch == 0; able && mine == "" && (c.Name == self || there(c.Name)) {
			mine = c.Name
		}
	}
	switch {
	case len(duty.Wrap) == 0:
		return KeyDuty{}, nil
	case mine != self:
		return KeyDuty{Waits: true}, nil
	}
	duty.Make = g.Status.Epoch == 0
	return duty, nil
}
