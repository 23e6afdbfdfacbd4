package main

import (
	"fmt"
	"net/http"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// gone is a cluster that was removed an hour ago, with the second key of the group.
func gone(cluster string) v1alpha1.SecretReader {
	return v1alpha1.SecretReader{Cluster: cluster, Key: "0a", Epoch: 2, Why: v1alpha1.ReaderRemoved, Until: &metav1.Time{Time: time.Now().Add(-3 * time.Hour)}}
}

// serveExposed answers as a fleet that has the secrets db, of which a cluster that left knows the value, and mail, of which it does not any more.
func (m *member) serveExposed(w http.ResponseWriter, cluster string) {
	line := func(secret string, state v1alpha1.ExposureState, reader v1alpha1.SecretReader, message string) v1alpha1.Exposure {
		return v1alpha1.Exposure{Secret: secret, Namespace: "shop", SecretName: secret, Group: "readers", SecretReader: reader, Generations: []int64{1, 2}, Known: 1, Values: 2, State: state, Message: message}
	}
	e := v1alpha1.Exposures{Revision: 812, Items: []v1alpha1.Exposure{}}
	m.mu.Lock()
	_, there := m.clusters[cluster]
	changed := m.mode == "changed"
	m.mu.Unlock()
	switch {
	case cluster == "bom":
		refuse(w, 404, "NotFound", fmt.Sprintf("cluster %q is not known", cluster), nil)
		return
	case cluster == "sin":
	case there && cluster != "iad":
		e.Items = append(e.Items, line("db", v1alpha1.ExposureReads, v1alpha1.SecretReader{Cluster: cluster, Why: v1alpha1.ReaderReads}, "it may read it"))
	case changed:
		e.Items = append(e.Items, line("db", v1alpha1.ExposureChanged, gone("iad"), "other values are in use"))
	default:
		e.Open = 1
		e.Items = append(e.Items, line("db", v1alpha1.ExposureOpen, gone("iad"), "1 of 2 values are as it could read them"), line("mail", v1alpha1.ExposureChanged, gone("iad"), "other values are in use"))
	}
	answer(w, 200, e)
}

func serveReaders(w http.ResponseWriter, secret string) {
	if secret != "db" {
		refuse(w, 404, "NotFound", fmt.Sprintf("the fleet has no such secret: %q", secret), nil)
		return
	}
	fra := v1alpha1.SecretReader{Cluster: "fra", Epoch: 3, Why: v1alpha1.ReaderReads}
	answer(w, 200, v1alpha1.SecretReaders{Secret: "db", Namespace: "shop", SecretName: "db", Revisions: []v1alpha1.RevisionReaders{
		{Generation: 2, Present: true, Group: "readers", Epoch: 3, Readers: []v1alpha1.SecretReader{fra}},
		{Generation: 1, Group: "readers", Epoch: 1, Readers: []v1alpha1.SecretReader{fra, gone("iad")}},
	}})
}
