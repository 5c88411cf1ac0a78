package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

type agentCommand struct {
	Password agentPasswordCommand `cmd:"" help:"Set an agent's password; it is read from the terminal, or one line from standard input."`
}

type agentPasswordCommand struct {
	Email string `arg:"" help:"The agent."`
}

// Run asks for the password, keeps its hash, and ends the agent's sessions.
func (c *agentPasswordCommand) Run(ctx context.Context, w *world) error {
	core, err := w.core(ctx)
	if err != nil {
		return err
	}
	defer w.close(core)
	agent, err := agentOf(ctx, core, c.Email)
	if err != nil {
		return err
	}
	plain, err := w.askPassword(agent.Email)
	if err != nil {
		return err
	}
	return core.SetPassword(ctx, agent, plain)
}

// askPassword asks twice at a terminal, without showing what is typed.
func (w *world) askPassword(who string) (string, error) {
	f, ok := w.stdin.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		line, err := bufio.NewReader(w.stdin).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return "", fmt.Errorf("read standard input: %w", err)
		}
		return strings.TrimRight(line, "\r\n"), nil
	}
	first, err := w.hidden(f, "Password of "+who+": ")
	if err != nil {
		return "", err
	}
	again, err := w.hidden(f, "Once more: ")
	if err != nil {
		return "", err
	}
	if first != again {
		return "", errors.New("the two are not the same")
	}
	return first, nil
}

func (w *world) hidden(f *os.File, prompt string) (string, error) {
	_, _ = fmt.Fprint(w.stderr, prompt)
	typed, err := term.ReadPassword(int(f.Fd()))
	_, _ = fmt.Fprintln(w.stderr)
	return string(typed), err
}
