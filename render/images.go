package render

import (
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// setImages changes the images of containers, in every object that has some.
func (s *scene) setImages(at *field.Path, o v1alpha1.ImageOverride) error {
	for _, part := range []struct {
		text *string
		name string
	}{{&o.Registry, "registry"}, {&o.Tag, "tag"}} {
		filled, err := s.fillText(*part.text)
		if err != nil {
			return field.Invalid(at.Child(part.name), *part.text, err.Error())
		}
		*part.text = filled
	}
	found := false
	for i := range s.objects {
		containers(s.objects[i].Object, func(container map[string]any) {
			image, _ := container["image"].(string)
			if name, _ := cutTag(image); image == "" || o.Image != "" && name != o.Image {
				return
			}
			found = true
			container["image"] = imageWith(image, o.Registry, o.Tag)
		})
	}
	if !found && !o.Optional {
		return field.Invalid(at.Child("image"), o.Image, "no container of the bundle has such an image; if that is meant: optional: true")
	}
	return nil
}

// containers visits the containers of every pod that an object describes, wherever in it.
func containers(value any, visit func(map[string]any)) {
	switch v := value.(type) {
	case map[string]any:
		for key, inner := range v {
			list, _ := inner.([]any)
			for _, item := range list {
				if c, ok := item.(map[string]any); ok && (key == "containers" || key == "initContainers" || key == "ephemeralContainers") {
					visit(c)
				}
			}
			containers(inner, visit)
		}
	case []any:
		for _, inner := range v {
			containers(inner, visit)
		}
	}
}

// cutTag parts an image's name from its tag and digest, which keep what separates them.
func cutTag(image string) (name, tag string) {
	if i := strings.IndexByte(image, '@'); i >= 0 {
		name, tag = image[:i], image[i:]
		image = name
	}
	if i := strings.LastIndexByte(image, ':'); i > strings.LastIndexByte(image, '/') {
		return image[:i], image[i:] + tag
	}
	return image, tag
}

// imageWith is an image of another registry, another tag, or both.
func imageWith(image, registry, tag string) string {
	name, had := cutTag(image)
	if registry != "" {
		if first, rest, ok := strings.Cut(name, "/"); ok && isRegistry(first) {
			name = rest
		}
		name = strings.TrimSuffix(registry, "/") + "/" + name
	}
	if tag != "" {
		had = ":" + tag
	}
	return name + had
}

// isRegistry tells a host from the first part of a name, as container runtimes do.
func isRegistry(first string) bool {
	return strings.ContainsAny(first, ".:") || first == "localhost"
}
