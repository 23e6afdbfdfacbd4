package agent

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/apiserver"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/law"
	"github.com/hanse-fleet/hanse/plan"
	"github.com/hanse-fleet/hanse/render"
)

// fits refuses a write of a bundle whose overrides come to more in one of its clusters than that one's grant has room for, as they are now: it
// could never be granted. What clusters say later is looked at when they are granted it.
func (c *claims) fits(v *store.View, w apiserver.Write) error {
	if !strings.HasPrefix(w.Key, v1alpha1.KeyBundles) || !bytes.Contains(w.After, []byte("${")) {
		return nil
	}
	var b struct {
		Metadata struct{ Name string }
		Spec     struct {
			Placement v1alpha1.Placement
			Overrides []v1alpha1.Override
		}
	}
	if err := json.Unmarshal(w.After, &b); err != nil {
		return fmt.Errorf("read %s: %w", law.Thing(w.Key), err)
	}
	if len(b.Spec.Overrides) == 0 {
		return nil
	}
	scene, err := c.scene(v)
	if err != nil {
		return err
	}
	picked, err := plan.Picks(b.Spec.Placement, scene.Ground(b.Metadata.Name))
	if err != nil {
		return err
	}
	content := v1alpha1.BundleContent{Overrides: b.Spec.Overrides}
	for i := range scene.Clusters {
		cluster := &scene.Clusters[i]
		if !slices.Contains(picked, cluster.Name) {
			continue
		}
		if why := render.TooMuch(content, cluster, scene.Metrics[cluster.Name]); why != "" {
			return apierrors.NewInvalid(v1alpha1.SchemeGroupVersion.WithKind("Bundle").GroupKind(), b.Metadata.Name,
				field.ErrorList{field.Forbidden(field.NewPath("spec", "overrides"), why)})
		}
	}
	return nil
}
