package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// listsCommand is the first argument that makes this program measure lists and
// searches instead of the intake.
const listsCommand = "lists"

// listsPlan is what is made and measured.
type listsPlan struct {
	tickets  int
	channels int
	agents   int
	samples  int
	seed     uint64
	postgres string
	dir      string
	only     string
	json     bool
}

// measureLists is the mode lists: it fills a desk, starts the daemon on it, and
// asks it for every list as an agent's client does.
func measureLists(ctx context.Context, args []string, out, progress io.Writer) error {
	p, err := parseLists(args, progress)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	r := &started{}
	defer r.stop(progress)
	if r.dir, err = os.MkdirTemp("", "ticketgate-bench-"); err != nil {
		return err
	}
	d, err := newBigDesk(ctx, r, p, progress)
	if err != nil {
		return err
	}
	found, err := d.measure(ctx, p, progress)
	if err != nil {
		return err
	}
	if p.json {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(found)
	}
	return writeTimings(out, found)
}

func parseLists(args []string, output io.Writer) (listsPlan, error) {
	var p listsPlan
	f := flag.NewFlagSet("bench lists", flag.ContinueOnError)
	f.SetOutput(output)
	f.IntVar(&p.tickets, "tickets", 1000000, "tickets, with five activities each in the mean")
	f.IntVar(&p.channels, "channels", 50, "channels, the first of which hold most")
	f.IntVar(&p.agents, "agents", 200, "agents")
	f.IntVar(&p.samples, "samples", 50, "requests of each kind")
	f.Uint64Var(&p.seed, "seed", 1, "of the data and of what is asked for")
	f.StringVar(&p.postgres, "postgres", "", "`URL` of a PostgreSQL, as a superuser; without it SQLite is measured")
	f.StringVar(&p.dir, "dir", "", "`folder` of the desk: kept, and used again if it is full; on PostgreSQL the URL then names its database. Without it all goes at the end")
	f.StringVar(&p.only, "only", "", "measure only what has this in its name")
	f.BoolVar(&p.json, "json", false, "print JSON")
	if err := f.Parse(args); err != nil {
		return p, err
	}
	if p.tickets < 1 || p.channels < 1 || p.agents < 1 || p.samples < 1 || f.NArg() > 0 {
		return p, errors.New("-tickets, -channels, -agents and -samples are at least 1, and there are no other arguments")
	}
	return p, nil
}

// bigDesk is a filled desk whose daemon runs.
type bigDesk struct {
	program string
	tickets int // how many it has
	dir     string
	env     []string
	crowd   crowd
	api     string            // where it answers
	tokens  map[string]string // by person
}

// The people who ask: one who sees all, one in large channels, one in a few
// small ones.
const (
	asAdmin = "admin"
	asBusy  = "busy"
	asSmall = "small"
)

func newBigDesk(ctx context.Context, r *started, p listsPlan, progress io.Writer) (*bigDesk, error) {
	d := &bigDesk{program: filepath.Join(r.dir, "ticketgate"), dir: cmp.Or(p.dir, filepath.Join(r.dir, "desk")), tokens: map[string]string{}, tickets: p.tickets}
	_, _ = fmt.Fprintln(progress, "building")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", d.program, "ticketgate/cmd/ticketgate").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("go build: %w\n%s", err, out)
	}
	if err := os.MkdirAll(d.dir, 0o700); err != nil {
		return nil, err
	}
	d.env = []string{
		"TICKETGATE_DATA_DIR=" + d.dir, "TICKETGATE_HOSTNAME=desk.example", "TICKETGATE_OUTBOUND_SMARTHOST=smtp+insecure://127.0.0.1:1",
		"TICKETGATE_LMTP_LISTEN=127.0.0.1:0", "TICKETGATE_HTTP_LISTEN=127.0.0.1:0", "TICKETGATE_METRICS_LISTEN=127.0.0.1:0",
	}
	database := p.postgres
	if database != "" && p.dir == "" {
		var err error
		if database, _, err = r.newDatabase(ctx, p.postgres); err != nil {
			return nil, fmt.Errorf("PostgreSQL: %w", err)
		}
	}
	if database != "" {
		d.env = append(d.env, "TICKETGATE_STORE_URL="+database)
	}
	return d, d.start(ctx, r, p, database, progress)
}

// start fills the desk, if it is not yet, and leaves its daemon running.
func (d *bigDesk) start(ctx context.Context, r *started, p listsPlan, database string, progress io.Writer) error {
	full := filepath.Join(d.dir, "full")
	if _, err := os.Stat(full); err != nil {
		c, err := d.serve(ctx, r)
		if err != nil {
			return err
		}
		err = errors.Join(d.furnish(ctx, p), d.learn(ctx))
		c.end()
		if err == nil {
			err = d.fill(ctx, p, database, progress)
		}
		if err == nil {
			err = os.WriteFile(full, nil, 0o600)
		}
		if err != nil {
			return err
		}
	}
	c, err := d.serve(ctx, r)
	if err != nil {
		return err
	}
	r.ends = append(r.ends, c.end)
	return d.learn(ctx)
}

// serve starts the daemon, and waits until it answers.
func (d *bigDesk) serve(ctx context.Context, r *started) (*child, error) {
	file := filepath.Join(d.dir, "addresses")
	_ = os.Remove(file) // of a daemon before; mostly there is none
	c, printed, err := startChild(r.dir, "daemon", d.env, d.program, "serve")
	if err != nil {
		return nil, err
	}
	go func() { _, _ = io.Copy(io.Discard, printed) }() // advice for people
	if _, err := c.intake(ctx, file); err != nil {
		c.end()
		return nil, err
	}
	var all map[string][]string
	data, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(data, &all)
	}
	if err == nil && len(all["http"]) == 0 {
		err = errors.New("the daemon has no HTTP listener")
	}
	if err != nil {
		c.end()
		return nil, err
	}
	d.api = "http://" + all["http"][0] + "/api/v1"
	return c, nil
}

// run runs one command of the program beside the daemon, and gives what it prints.
func (d *bigDesk) run(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, d.program, args...)
	cmd.Dir, cmd.Env = d.dir, append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + d.dir}, d.env...)
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("ticketgate %s: %w\n%s", args[0], err, complaint.String())
	}
	return strings.TrimSpace(string(out)), nil
}

// fill writes the tickets while no daemon runs.
func (d *bigDesk) fill(ctx context.Context, p listsPlan, database string, progress io.Writer) error {
	begun := time.Now()
	f := &filler{tables: newTables("rowid words", "n"), byN: true}
	var to interface {
		archive
		close() error
	}
	var err error
	if database == "" {
		to, err = openSQLite(ctx, filepath.Join(d.dir, "ticketgate.db"))
	} else {
		f.tables, f.byN = newTables("activity_id words ticket", ""), false
		to, err = openPostgres(ctx, database)
	}
	if err != nil {
		return err
	}
	f.to = to
	f.told = func(n int) {
		_, _ = fmt.Fprintf(progress, "\r%d of %d tickets, %s", n, p.tickets, time.Since(begun).Round(time.Second))
	}
	err = errors.Join(f.fill(newHistory(d.crowd, p.tickets, p.seed, time.Now())), to.close())
	_, _ = fmt.Fprintf(progress, "\rfilled in %s                    \n", time.Since(begun).Round(time.Second))
	return err
}
