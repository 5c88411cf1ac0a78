// Command ticketgate is a help desk behind a mail server: it takes mail in over
// LMTP, makes tickets of it, and sends the answers out, signed.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
	_ "time/tzdata" // desk.timezone works where the system has no database

	"github.com/alecthomas/kong"

	"ticketgate/gateway/gateway"
)

func main() {
	os.Exit(run(context.Background(), system()))
}

// The exit codes.
const (
	exitOK     = 0
	exitFailed = 1 // it was tried, and did not work
	exitUsage  = 2 // the command line makes no sense
)

// commands is the grammar of the command line; each is in a file of its own.
type commands struct {
	Config string `help:"Configuration file; ${config} if that exists." placeholder:"FILE" short:"c"`

	Serve    serveCommand    `cmd:"" help:"Run the daemon."`
	Check    checkCommand    `cmd:"" help:"Look for what is not right: configuration, services, keys, DNS."`
	Apply    applyCommand    `cmd:"" help:"Make the desk what a TOML file says."`
	Contacts contactsCommand `cmd:"" help:"Take contacts over from other programs."`
	Deliver  deliverCommand  `cmd:"" help:"Hand a mail to the daemon, as a mail server would."`
	Explain  explainCommand  `cmd:"" help:"Tell what would become of a mail; nothing is stored."`
	Queue    queueCommand    `cmd:"" help:"Look at outgoing mail, and change its course."`
	DKIM     dkimCommand     `cmd:"" name:"dkim" help:"Care for the keys that sign answers."`
	Agent    agentCommand    `cmd:"" help:"Change an agent."`
	Token    tokenCommand    `cmd:"" help:"Make API tokens."`
	Version  versionCommand  `cmd:"" help:"Print the version."`
	Help     helpCommand     `cmd:"" help:"Print help, of one command if it is named."`
}

// world is what a command has of the outside; tests put their own in.
type world struct {
	args           []string
	environ        []string
	stdin          io.Reader
	stdout, stderr io.Writer
	now            func() time.Time

	config  string // --config
	printer *kong.Kong
}

// system is the real world.
func system() *world {
	return &world{
		args: os.Args[1:], environ: os.Environ(),
		stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, now: time.Now,
	}
}

// errQuiet ends a command with exitFailed when all was said already.
var errQuiet = errors.New("failed")

// run does what the command line asks, and gives the exit code.
func run(ctx context.Context, w *world) int {
	var grammar commands
	helped := false
	parser, err := kong.New(&grammar,
		kong.Name("ticketgate"),
		kong.Description("A help desk behind a mail server: mail in over LMTP, tickets, signed answers out."),
		kong.Vars{"config": gateway.DefaultConfigFile},
		kong.Writers(w.stdout, w.stderr),
		kong.Exit(func(int) { helped = true }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
	)
	if err != nil {
		_, _ = fmt.Fprintln(w.stderr, "ticketgate:", err)
		return exitUsage
	}
	parsed, err := parser.Parse(w.args)
	if helped {
		return exitOK
	}
	if err != nil {
		_, _ = fmt.Fprintf(w.stderr, "ticketgate: %v (see: ticketgate help)\n", err)
		return exitUsage
	}
	w.config, w.printer = grammar.Config, parser
	parsed.BindTo(ctx, (*context.Context)(nil))
	err = parsed.Run(w)
	switch {
	case err == nil:
		return exitOK
	case !errors.Is(err, errQuiet):
		_, _ = fmt.Fprintf(w.stderr, "ticketgate: %v\n", err)
	}
	return exitFailed
}

// settings reads the configuration.
func (w *world) settings() (*gateway.Config, error) {
	c, err := gateway.LoadConfig(w.config, w.environ)
	if err != nil {
		return nil, err
	}
	for _, warning := range c.Warnings {
		_, _ = fmt.Fprintln(w.stderr, "ticketgate: warning:", warning)
	}
	return c, nil
}

// core opens the store, beside a daemon that may run.
func (w *world) core(ctx context.Context) (*gateway.Core, error) {
	c, err := w.settings()
	if err != nil {
		return nil, err
	}
	return gateway.OpenCore(ctx, c, gateway.CoreOptions{})
}

// say prints a line of the command's outcome.
func (w *world) say(format string, args ...any) error {
	_, err := fmt.Fprintf(w.stdout, format+"\n", args...)
	return err
}
