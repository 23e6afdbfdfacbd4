package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

func completionVerb() *cli.Command {
	return &cli.Command{
		Name: "completion", Usage: "print the completion script of a shell",
		UsageText: `source <(hanse completion bash)
source <(hanse completion zsh)
hanse completion fish | source`,
		Action: completionAction,
	}
}

func completionAction(c *cli.Context) error {
	scripts := map[string]string{"bash": completionBash, "zsh": completionZsh, "fish": completionFish}
	script, ok := scripts[c.Args().First()]
	if !ok || c.NArg() != 1 {
		return during("completion", usage("which shell?", hint{words: "bash, zsh or fish"}))
	}
	fmt.Fprint(c.App.Writer, script)
	return nil
}

const completionBash = `_hanse() {
	local IFS=$'\n'
	COMPREPLY=($(compgen -W "$(hanse __complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)" -- "${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _hanse hanse
`

const completionZsh = `_hanse() {
	local -a words_found
	words_found=("${(@f)$(hanse __complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)}")
	compadd -a words_found
	[[ -n $words_found ]] || _files
}
compdef _hanse hanse
`

const completionFish = `complete -c hanse -a '(hanse __complete -- (commandline -opc)[2..] (commandline -ct) 2>/dev/null)'
`

// completeVerb is asked by the scripts: what could the last of these words be?
func completeVerb() *cli.Command {
	return &cli.Command{
		Name: "__complete", Hidden: true,
		Action: func(c *cli.Context) error {
			for _, word := range complete(c, c.Args().Slice()) {
				fmt.Fprintln(c.App.Writer, word)
			}
			return nil
		},
	}
}

// complete returns what the last word could be, given those before it.
func complete(c *cli.Context, words []string) []string {
	if len(words) == 0 {
		words = []string{""}
	}
	last, before := words[len(words)-1], words[:len(words)-1]
	commands, verb, names := c.App.Commands, (*cli.Command)(nil), []string(nil)
	for _, w := range before {
		if isFlag(w) {
			continue
		}
		if i := slices.IndexFunc(commands, func(v *cli.Command) bool { return v.HasName(w) }); i >= 0 && len(names) == 0 {
			verb, commands = commands[i], commands[i].Subcommands
			continue
		}
		names = append(names, w)
	}
	var found []string
	switch {
	case verb != nil && len(before) > 0 && before[len(before)-1] == "--role":
		found = []string{string(v1alpha1.RoleAdmin), string(v1alpha1.RoleOperator), string(v1alpha1.RoleViewer)}
	case verb != nil && len(before) > 0 && before[len(before)-1] == "--cluster":
		found = namesOf(c, mustKind("Cluster"))
	case len(commands) > 0 && !isFlag(last):
		for _, v := range commands {
			if !v.Hidden {
				found = append(found, v.Name)
			}
		}
	case verb != nil && strings.HasPrefix(last, "-"):
		for _, f := range verb.Flags {
			found = append(found, "--"+f.Names()[0])
		}
	case verb != nil:
		found = completeName(c, verb.Name, names)
	}
	return slices.DeleteFunc(found, func(s string) bool { return !strings.HasPrefix(s, last) })
}

// completeName knows what the verbs take: kinds, and then names of that kind.
func completeName(c *cli.Context, verb string, names []string) []string {
	switch verb {
	case "completion":
		return []string{"bash", "fish", "zsh"}
	case "remove", "lead", "resume", "cordon", "uncordon", "drain":
		return namesOf(c, mustKind("Cluster"))
	case "explain", "render", "drift":
		return rolledOutNames(c)
	case "get", "label", "delete", "history", "rollback":
	default:
		return nil
	}
	if len(names) > 0 {
		if k, err := kindCalled(names[0]); err == nil {
			return namesOf(c, k)
		}
		return nil
	}
	var plurals []string
	for _, k := range kinds() {
		plurals = append(plurals, k.plural)
	}
	return plurals
}

// rolledOutNames are the names of what is rolled out.
func rolledOutNames(c *cli.Context) []string {
	names := namesOf(c, mustKind("Bundle"))
	for _, secret := range namesOf(c, mustKind("FleetSecret")) {
		names = append(names, v1alpha1.RolledOut{Kind: "FleetSecret", Name: secret}.String())
	}
	return names
}

// namesOf asks the member, briefly; without an answer nothing is completed.
func namesOf(c *cli.Context, k kind) []string {
	f, err := connect(c, nil)
	if err != nil {
		return nil
	}
	f.talk = nil
	ctx, cancel := context.WithTimeout(c.Context, time.Second)
	defer cancel()
	body, err := f.read(ctx, request{path: k.path()}, nil)
	if err != nil {
		return nil
	}
	var list struct {
		Items []header `json:"items"`
	}
	if json.Unmarshal(body, &list) != nil {
		return nil
	}
	var names []string
	for _, o := range list.Items {
		names = append(names, o.Metadata.Name)
	}
	return names
}
