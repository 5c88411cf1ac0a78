package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// deskFile makes a desk with one account; its %s are the account and who is
// subscribed to the channel.
const deskFile = `
[[agent]]
email = "agent@desk.example"
name = "Agent"
role = "agent"

[[channel]]
name = "Support"
subscriptions = [{agent = "agent@desk.example", type = %q}]

[[mail_account]]
address = %q
type = "ticket"
default_channel = "Support"
new_ticket_limit = 0
`

// daemon starts ticketgate in a folder of its own and makes its desk.
func (r *started) daemon(ctx context.Context, s *selfRun, built programs, name, resolver, to string) (target, error) {
	dir := filepath.Join(r.dir, name+"-data")
	env := []string{
		"TICKETGATE_DATA_DIR=" + dir, "TICKETGATE_HOSTNAME=desk.example", "TICKETGATE_DNS_RESOLVER=" + resolver,
		"TICKETGATE_LMTP_LISTEN=127.0.0.1:0", "TICKETGATE_HTTP_LISTEN=127.0.0.1:0", "TICKETGATE_METRICS_LISTEN=127.0.0.1:0",
	}
	smarthost := "smtp+insecure://127.0.0.1:1" // nobody listens there: what goes out waits
	if s.deliver {
		var err error
		if smarthost, err = r.smarthost(ctx, name+"-smarthost"); err != nil {
			return target{}, err
		}
	}
	env = append(env, "TICKETGATE_OUTBOUND_SMARTHOST="+smarthost)
	t := target{name: name}
	if name == onPostgreSQL {
		more, err := r.databases(ctx, s, &t)
		if err != nil {
			return t, err
		}
		env = append(env, more...)
	}
	c, err := r.startDaemon(s, built, name, env)
	if err != nil {
		return t, err
	}
	t.own = []int{c.cmd.Process.Pid}
	if t.addr, err = c.intake(ctx, filepath.Join(dir, "addresses")); err != nil {
		return t, err
	}
	if err := apply(ctx, s, built.daemon, r.dir, env, to); err != nil {
		return t, err
	}
	return t, awaitRecipient(ctx, t.addr, to)
}

// startDaemon starts the program itself, or, for a profile, the same inside the
// gateway's test binary: the daemon has no door for profilers.
func (r *started) startDaemon(s *selfRun, built programs, name string, env []string) (*child, error) {
	path, args := built.daemon, []string{"serve"}
	if s.profile != "" {
		folder, err := filepath.Abs(s.profile)
		if err == nil {
			err = os.MkdirAll(folder, 0o755)
		}
		if err != nil {
			return nil, err
		}
		path = built.gateway
		args = append([]string{"-test.cpuprofile=" + filepath.Join(folder, name+".cpu")}, gatewayArgs...)
		env = append(env, roleVariable+"="+roleDaemon)
	}
	c, printed, err := startChild(r.dir, name, env, path, args...)
	if err != nil {
		return nil, err
	}
	r.ends = append(r.ends, c.end)
	go func() { _, _ = io.Copy(io.Discard, printed) }() // advice for people
	return c, nil
}

// intake waits for the file in which a daemon that serves names its addresses.
func (c *child) intake(ctx context.Context, file string) (string, error) {
	var all map[string][]string
	err := poll(ctx, func() error {
		select {
		case <-c.done:
			return fmt.Errorf("%w: it ended: %s", errGivenUp, c.tail())
		default:
		}
		data, err := os.ReadFile(file)
		if err == nil {
			err = json.Unmarshal(data, &all)
		}
		return err
	})
	if err == nil && len(all["lmtp"]) == 0 {
		err = errors.New("the daemon has no LMTP listener")
	}
	if err != nil {
		return "", err
	}
	return all["lmtp"][0], nil
}

// apply makes the desk, as an admin does beside a running daemon.
func apply(ctx context.Context, s *selfRun, program, dir string, env []string, to string) error {
	subscription := "informal"
	if s.notify {
		subscription = "standard"
	}
	file := filepath.Join(dir, "desk.toml")
	if err := os.WriteFile(file, fmt.Appendf(nil, deskFile, subscription, to), 0o600); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, program, "apply", file)
	cmd.Dir, cmd.Env = dir, append(env, "PATH="+os.Getenv("PATH"), "HOME="+dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("ticketgate apply: %w\n%s", err, out)
	}
	return nil
}

// awaitRecipient waits until the daemon has seen its new desk.
func awaitRecipient(ctx context.Context, addr, to string) error {
	return poll(ctx, func() error {
		s, err := openSession(ctx, addr, to)
		if err != nil {
			return err
		}
		defer s.close()
		if err := s.say("MAIL FROM:<>\r\nRCPT TO:<" + to + ">\r\n"); err != nil {
			return err
		}
		return errors.Join(s.expect(250), s.expect(250))
	})
}

// errGivenUp ends a poll.
var errGivenUp = errors.New("gave up")

// poll asks until there is no error; a program that we only see from outside has
// no better signal.
func poll(ctx context.Context, ready func() error) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ready()
		if err == nil || errors.Is(err, errGivenUp) {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		}
	}
}
