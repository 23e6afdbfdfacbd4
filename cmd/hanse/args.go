package main

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// arrange puts a command line into the order that urfave/cli reads (verb, flags, names), so that flags may stand
// anywhere: before the verb, before and after names. It also finds unknown verbs and flags, and says what may
// have been meant. `--` ends the flags.
func arrange(app *cli.App, args []string) ([]string, error) {
	app.Setup()
	if len(args) == 2 && args[1] == "--version" {
		args = []string{args[0], "version"}
	}
	if len(args) == 2 && isHelp(args[1]) {
		args = []string{args[0], "help"}
	}
	line := commandLine{commands: app.Commands, union: allFlags(app.Commands)}
	if err := line.findVerb(args[1:]); err != nil {
		return nil, err
	}
	if err := line.sort(); err != nil {
		return nil, err
	}
	if slices.ContainsFunc(line.flags, isHelp) { // whatever else is there; names would be taken for topics
		return append(append([]string{args[0]}, line.path...), "--help"), nil
	}
	if line.verb != nil && len(line.verb.Subcommands) > 0 {
		return nil, during(strings.Join(line.path, " "), usage("which?", hint{"for example", strings.Join(line.path, " ") + " " + line.verb.Subcommands[0].Name}))
	}
	app.Metadata[metaAgain] = line.again()
	arranged := append([]string{args[0]}, line.path...)
	arranged = append(arranged, line.flags...)
	if slices.ContainsFunc(line.names, isFlag) {
		arranged = append(arranged, "--")
	}
	return append(arranged, line.names...), nil
}

// commandLine is a command line being arranged.
type commandLine struct {
	commands []*cli.Command // to choose the next word of the verb from
	union    []cli.Flag     // the flags of all verbs: what may stand before the verb
	verb     *cli.Command   // nil until found
	path     []string       // the verb's words
	rest     []string       // everything else, in order
	flags    []string
	names    []string
}

// metaAgain is where an app keeps the command that asks the same again, with more time.
const metaAgain = "again"

// again is the same command with a longer --timeout, as one would type it.
func (l *commandLine) again() string {
	words := append(slices.Clone(l.path), "--timeout", "5m")
	for i := 0; i < len(l.flags); i++ {
		switch flag := l.flags[i]; {
		case strings.TrimLeft(flag, "-") == "timeout":
			i++
		case !strings.HasPrefix(strings.TrimLeft(flag, "-"), "timeout="):
			words = append(words, quoted(flag))
		}
	}
	for _, name := range l.names {
		words = append(words, quoted(name))
	}
	return strings.Join(words, " ")
}

// quoted is a word as a shell reads it back.
func quoted(word string) string {
	plain := func(r rune) bool { return !strings.ContainsRune(" \t\n\"'`$&|;<>(){}[]*?!#~\\", r) }
	if word != "" && strings.IndexFunc(word, func(r rune) bool { return !plain(r) }) < 0 {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// findVerb splits args into the verb's words and the rest.
func (l *commandLine) findVerb(args []string) error {
	for i := 0; i < len(args); i++ {
		arg := args[i]
		switch {
		case arg == "--" || len(l.commands) == 0:
			l.rest = append(l.rest, args[i:]...)
			return nil
		case isFlag(arg):
			l.rest = append(l.rest, arg)
			if f, _, inline := lookup(l.union, arg); f != nil && !inline && !isBool(f) && i+1 < len(args) {
				i++
				l.rest = append(l.rest, args[i])
			}
		default:
			if err := l.step(arg); err != nil {
				return err
			}
		}
	}
	return nil
}

// step takes the next word of the verb.
func (l *commandLine) step(word string) error {
	for _, c := range l.commands {
		if c.HasName(word) {
			l.verb, l.commands = c, c.Subcommands
			l.path = append(l.path, word)
			return nil
		}
	}
	var words []string
	for _, c := range l.commands {
		if !c.Hidden {
			words = append(words, c.Name)
		}
	}
	verb := strings.Join(append(l.path, word), " ")
	return usage(verb+": unknown verb"+didYouMean(word, words), hint{"all verbs", "help"})
}

// sort splits the rest into the verb's flags and names.
func (l *commandLine) sort() error {
	known := []cli.Flag{cli.HelpFlag}
	if l.verb != nil {
		known = append(known, l.verb.Flags...)
	}
	for i := 0; i < len(l.rest); i++ {
		arg := l.rest[i]
		if arg == "--" {
			l.names = append(l.names, l.rest[i+1:]...)
			return nil
		}
		if !isFlag(arg) {
			l.names = append(l.names, arg)
			continue
		}
		f, spelled, inline := lookup(known, arg)
		if f == nil {
			return l.unknown(known, arg)
		}
		l.flags = append(l.flags, spelled...)
		if inline || isBool(f) {
			continue
		}
		if i++; i == len(l.rest) {
			return during(strings.Join(l.path, " "), usagef("%s needs a value", arg))
		}
		l.flags = append(l.flags, l.rest[i])
	}
	return nil
}

func (l *commandLine) unknown(known []cli.Flag, arg string) error {
	var words []string
	for _, f := range known {
		words = append(words, "--"+f.Names()[0])
	}
	name, _, _ := strings.Cut(arg, "=")
	err := usage(name + ": unknown flag" + didYouMean("--"+strings.TrimLeft(name, "-"), words))
	if l.verb == nil {
		err.hints = []hint{{"all verbs", "help"}}
		return err
	}
	err.hints = []hint{{"all flags", strings.Join(l.path, " ") + " --help"}}
	return during(strings.Join(l.path, " "), err)
}

// lookup finds the last flag that arg names, how to spell arg for the parser, and whether its value is in it.
// One dash and several letters are short flags together: -Rf.
func lookup(known []cli.Flag, arg string) (f cli.Flag, spelled []string, inline bool) {
	name, _, inline := strings.Cut(strings.TrimLeft(arg, "-"), "=")
	if f := named(known, name); f != nil {
		return f, []string{arg}, inline
	}
	if strings.HasPrefix(arg, "--") {
		return nil, nil, false
	}
	for i, letter := range arg[1:] {
		f = named(known, string(letter))
		if f == nil {
			return nil, nil, false
		}
		spelled = append(spelled, "-"+string(letter))
		if value := arg[1+i+len(string(letter)):]; !isBool(f) && value != "" {
			return f, append(spelled, strings.TrimPrefix(value, "=")), true
		}
	}
	return f, spelled, false
}

func named(flags []cli.Flag, name string) cli.Flag {
	for _, f := range flags {
		if slices.Contains(f.Names(), name) {
			return f
		}
	}
	return nil
}

func allFlags(commands []*cli.Command) []cli.Flag {
	all := []cli.Flag{cli.HelpFlag}
	for _, c := range commands {
		all = append(append(all, c.Flags...), allFlags(c.Subcommands)...)
	}
	return all
}

// isFlag is false for "-", which stands for stdin.
func isFlag(arg string) bool { return len(arg) > 1 && arg[0] == '-' }

func isHelp(flag string) bool { return flag == "--help" || flag == "-h" }

func isBool(f cli.Flag) bool { _, ok := f.(*cli.BoolFlag); return ok }
