package apiserver

import (
	"strings"

	"k8s.io/apimachinery/pkg/version"
	basecompatibility "k8s.io/component-base/compatibility"
)

// toldVersion is the version that /version tells: kubectl reads it as Kubernetes', people find hanse's behind the +.
type toldVersion struct {
	basecompatibility.EffectiveVersion
	hanse string
}

func newToldVersion(hanse string) toldVersion {
	return toldVersion{basecompatibility.NewEffectiveVersionFromString(kubernetesVersion, "", ""), hanse}
}

// Info implements basecompatibility.EffectiveVersion.
func (v toldVersion) Info() *version.Info {
	info := *v.EffectiveVersion.Info()
	info.GitVersion = "v" + kubernetesVersion + ".0+hanse." + strings.Map(metadataRune, v.hanse)
	return &info
}

// metadataRune leaves what may stand in a semantic version's metadata.
func metadataRune(r rune) rune {
	if r == '.' || r == '-' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' {
		return r
	}
	return '-'
}
