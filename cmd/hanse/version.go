package main

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/hanse-fleet/hanse/agent"
	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// version is set by the linker for releases; otherwise the module's version is shown.
var version string

func versionVerb() *cli.Command {
	return &cli.Command{
		Name: "version", Usage: "show the version of this program, and of the member if one answers",
		UsageText: "hanse version\nhanse version -o json",
		Flags:     append(connectionFlags(2*time.Second), outputFlag(formatTable, formatJSON, formatYAML)),
		Action:    versionAction,
	}
}

// versions is the answer of `hanse version -o json`.
type versions struct {
	Version string `json:"version"`
	Commit  string `json:"commit,omitempty"`
	Go      string `json:"go"`
	// LogVersion is the newest version of the log that this program can apply.
	LogVersion uint64         `json:"logVersion"`
	Member     *memberVersion `json:"member,omitempty"`
}

type memberVersion struct {
	Server  string `json:"server"`
	Version string `json:"version"`
	// LogVersion is the one that the member's fleet applies the log by; 0 when it does not say.
	LogVersion uint64 `json:"logVersion,omitempty"`
}

func versionAction(c *cli.Context) error {
	if err := noNames(c); err != nil {
		return during("version", err)
	}
	format, err := outputFormat(c, formatTable, formatJSON, formatYAML)
	if err != nil {
		return during("version", err)
	}
	v := ownVersion()
	v.Member = askVersion(c)
	data, err := json.Marshal(v)
	switch {
	case err != nil:
		return during("version", err)
	case format == formatJSON:
		return printJSON(c.App.Writer, data)
	case format == formatYAML:
		return printYAML(c.App.Writer, data)
	}
	fmt.Fprintf(c.App.Writer, "hanse %s %s, applies the log up to version %d\n", v.Version, v.Go, v.LogVersion)
	if v.Member != nil {
		fmt.Fprintf(c.App.Writer, "member %s at %s, its fleet is at version %d of the log\n", v.Member.Version, v.Member.Server, v.Member.LogVersion)
	}
	return nil
}

// askVersion returns nil when no member answers: that is no error here.
func askVersion(c *cli.Context) *memberVersion {
	f, err := connect(c, nil)
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(c.Context, c.Duration("timeout"))
	defer cancel()
	var answer struct {
		GitVersion string `json:"gitVersion"`
	}
	if _, err := f.read(ctx, request{path: "/version"}, &answer); err != nil {
		return nil
	}
	var fleet v1alpha1.FleetStatus
	if _, err := f.read(ctx, request{path: v1alpha1.PathStatus}, &fleet); err != nil {
		fleet.LogVersion = 0 // who may not ask that may still see the program's version
	}
	return &memberVersion{Server: f.server, Version: memberVersionIn(answer.GitVersion), LogVersion: fleet.LogVersion}
}

// memberVersionIn finds hanse's version behind that of the Kubernetes API it serves: v1.37.0+hanse.v0.1.0.
func memberVersionIn(gitVersion string) string {
	if _, own, ok := strings.Cut(gitVersion, "+hanse."); ok {
		return own
	}
	return gitVersion
}

func ownVersion() versions {
	v := versions{Version: version, Go: runtime.Version(), LogVersion: agent.LogVersion}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if v.Version == "" {
		v.Version = strings.Trim(info.Main.Version, "()") // (devel) would be no word of the protocol
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			v.Commit = s.Value
		}
	}
	return v
}
