// Command hanse is the fleet's command line and its daemon: one verb a file. It talks to one member of the fleet,
// any of them, over that member's Unix socket or by https.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/urfave/cli/v2"
	"k8s.io/klog/v2"
)

func main() {
	ends := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // nohup has said that it is to be
		ends = append(ends, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(context.Background(), ends...)
	code := run(ctx, os.Args, os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is the whole program: data goes to out, talk to talk, and the exit code is returned.
func run(ctx context.Context, args []string, in io.Reader, out, talk io.Writer) int {
	quietKlog()
	app := newApp(programName(args[0]), in, out, talk)
	arranged, err := arrange(app, args)
	if err == nil {
		err = app.RunContext(ctx, arranged)
	}
	return report(app, err)
}

// programName is how the program was called: as itself, or as a plugin of kubectl.
func programName(arg0 string) string {
	if strings.HasPrefix(filepath.Base(arg0), "kubectl-") {
		return "kubectl hanse"
	}
	return "hanse"
}

// quietKlog keeps the client library from talking past us; what matters comes back as an error.
func quietKlog() {
	klog.LogToStderr(false)
	klog.SetOutput(io.Discard)
}

// newApp is a fresh command line; nothing of it is shared between runs.
func newApp(name string, in io.Reader, out, talk io.Writer) *cli.App {
	return &cli.App{
		Name:      name,
		Usage:     "one fleet of Kubernetes clusters, without a hub",
		UsageText: name + " VERB [flags] [names]",
		Reader:    in, Writer: out, ErrWriter: talk,
		HideVersion:               true,
		Suggest:                   true,
		DisableSliceFlagSeparator: true,
		CustomAppHelpTemplate:     appHelp,
		ExitErrHandler:            func(*cli.Context, error) {}, // report does it
		OnUsageError:              func(_ *cli.Context, err error, _ bool) error { return usage(err.Error()) },
		Commands: verbs(
			initVerb(), tokenVerb(), joinVerb(), agentVerb(), userVerb(),
			applyVerb(), diffVerb(), driftVerb(), getVerb(), labelVerb(), deleteVerb(), statusVerb(), leadVerb(), removeVerb(), logsVerb(), kubectlVerb(),
			rolloutVerb(), freezeVerb(), unfreezeVerb(), suspendVerb(), unsuspendVerb(), cordonVerb(), uncordonVerb(), drainVerb(),
			historyVerb(), rollbackVerb(), explainVerb(), renderVerb(), sealVerb(), secretVerb(),
			backupVerb(), restoreVerb(), recoverVerb(), resumeVerb(),
			kubeconfigVerb(), credentialVerb(), versionVerb(), completionVerb(), completeVerb(), helpVerb(),
		),
	}
}

// verbs gives every verb what all of them share.
func verbs(list ...*cli.Command) []*cli.Command {
	for _, v := range list {
		v.HideHelpCommand = true // or `delete bundle help` would not name a bundle
		v.CustomHelpTemplate = verbHelp
		v.OnUsageError = func(_ *cli.Context, err error, _ bool) error { return usage(err.Error()) }
		verbs(v.Subcommands...)
	}
	return list
}

const appHelp = `{{.Name}}: {{.Usage}}

  {{.UsageText}}
{{range .VisibleCommands}}
  {{printf "%-14s" .Name}}{{.Usage}}{{end}}

more on one of them: {{.Name}} help VERB
`

// verbHelp names flags; words in capitals are their values, and defaults stand at the end.
const verbHelp = `{{.HelpName}}: {{.Usage}}
{{if .UsageText}}
{{.UsageText | trim | indent 2}}
{{end}}{{if .VisibleCommands}}{{range .VisibleCommands}}
  {{printf "%-14s" .Name}}{{.Usage}}{{end}}
{{end}}{{range .VisibleFlags}}
  {{if gt (len .Names) 1}}-{{index .Names 1}}, {{else}}    {{end}}{{printf "--%-20s" (index .Names 0)}}{{.GetUsage}}{{if .TakesValue}}{{with .GetDefaultText}} ({{.}}){{end}}{{end}}{{end}}
`

func helpVerb() *cli.Command {
	return &cli.Command{
		Name: "help", Aliases: []string{"h"}, Usage: "say more about a verb", UsageText: "hanse help VERB",
		Action: func(c *cli.Context) error {
			if c.NArg() == 0 {
				return cli.ShowAppHelp(c)
			}
			args, err := arrange(c.App, append([]string{c.App.Name}, append(c.Args().Slice(), "--help")...))
			if err != nil {
				return err
			}
			return c.App.RunContext(c.Context, args)
		},
	}
}
