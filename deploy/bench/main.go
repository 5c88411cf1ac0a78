// Command bench measures how fast an LMTP server takes mail, beside others: it
// sends the same mails to several servers in turn, in one run, and prints rates,
// the time of the reply after the dot, processor time per mail and memory.
//
//	go run ./deploy/bench -run
//	go run ./deploy/bench -target a=127.0.0.1:2424,pid=123 -target b=127.0.0.1:2525
//
// With the argument lists it measures lists and searches over a large desk:
//
//	go run ./deploy/bench lists
//
// README.md beside this file tells how to read it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := bench(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	plan
	targets []target
	json    bool
	quiet   bool
	dns     string
	seed    uint64
	run     bool
	self    selfRun
}

// bench is main without the process around it.
func bench(ctx context.Context, args []string, in io.Reader, out, progress io.Writer) error {
	if len(args) > 0 && args[0] == floorCommand {
		return serveFloor(ctx, args[1:], in, out)
	}
	if len(args) > 0 && args[0] == listsCommand {
		return measureLists(ctx, args[1:], out, progress)
	}
	o, err := parseOptions(args, progress)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	if o.quiet {
		progress = io.Discard
	}
	key, record, err := newKey()
	if err != nil {
		return err
	}
	names, err := serveNames(ctx, o.dns, record)
	if err != nil {
		return err
	}
	defer names.stop()
	_, _ = fmt.Fprintf(progress, "keys of the senders: dns.resolver = %q\n", names.addr)

	if o.run {
		started, err := o.self.start(ctx, names.addr, o.mix.to, progress)
		defer started.stop(progress)
		if err != nil {
			return err
		}
		o.targets = append(started.targets, o.targets...)
		o.limit = started.limitIn(o.limit)
	}
	w := newWriter(o.mix, key, rand.New(rand.NewPCG(o.seed, uint64(time.Now().UnixNano()))), time.Now)
	found, err := measure(ctx, o.plan, w, o.targets, progress)
	if err != nil {
		return err
	}
	if o.json {
		return writeJSON(out, found)
	}
	return writeTable(out, found)
}

func parseOptions(args []string, output io.Writer) (*options, error) {
	o := &options{}
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(output)
	f.Func("target", "`NAME=ADDRESS[,pid=N][,db=N]` of a server, several times; pid and db for processor time and memory", func(text string) error {
		t, err := parseTarget(text)
		o.targets = append(o.targets, t)
		return err
	})
	sessions := f.String("sessions", "1,10,50", "numbers of concurrent sessions")
	f.IntVar(&o.rounds, "rounds", 3, "rounds, over which medians are taken")
	f.IntVar(&o.messages, "messages", 2000, "mails of one measurement")
	f.IntVar(&o.warm, "warm", 500, "mails to each target before the first measurement")
	f.StringVar(&o.limit, "limit", "", "target that the ratios are to (default: the first; with -run parse+verify)")
	f.IntVar(&o.mix.size, "size", 5000, "octets of a mail, about")
	f.Float64Var(&o.mix.signed, "signed", 1, "share of mails that is DKIM-signed (RSA-2048)")
	f.Float64Var(&o.mix.replies, "replies", 0.3, "share that answers an earlier mail of its sender")
	f.Float64Var(&o.mix.html, "html", 0, "share with an HTML part beside the text")
	f.IntVar(&o.mix.senders, "senders", 5000, "different senders")
	f.StringVar(&o.mix.to, "to", "support@desk.example", "recipient")
	f.StringVar(&o.dns, "dns", "127.0.0.1:0", "UDP address to answer the senders' key look-ups at")
	f.Uint64Var(&o.seed, "seed", 1, "of the mails' texts; Message-IDs differ in each run")
	f.BoolVar(&o.json, "json", false, "print JSON")
	f.BoolVar(&o.quiet, "quiet", false, "no progress on stderr")
	f.BoolVar(&o.run, "run", false, "start the floors and the daemon, in a scratch folder on free ports")
	o.self.flags(f)
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	return o, o.check(*sessions, f.Args())
}

// check reads and checks what the flag package can't.
func (o *options) check(sessions string, rest []string) error {
	for text := range strings.SplitSeq(sessions, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return fmt.Errorf("-sessions: %q is no number of sessions", text)
		}
		o.sessions = append(o.sessions, n)
	}
	switch {
	case len(rest) > 0:
		return fmt.Errorf("unknown argument %q", rest[0])
	case len(o.targets) == 0 && !o.run:
		return errors.New("nothing to measure: give -target or -run")
	case o.rounds < 1 || o.messages < 1 || o.mix.senders < 1 || o.warm < 0:
		return errors.New("-rounds, -messages and -senders are at least 1")
	}
	for name, share := range map[string]float64{"signed": o.mix.signed, "replies": o.mix.replies, "html": o.mix.html} {
		if share < 0 || share > 1 {
			return fmt.Errorf("-%s: a share lies between 0 and 1", name)
		}
	}
	return nil
}
