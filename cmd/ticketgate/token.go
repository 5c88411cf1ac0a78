package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ticketgate/gateway/gateway"
	"ticketgate/store"
	"ticketgate/threading/message"
)

type tokenCommand struct {
	Create tokenCreateCommand `cmd:"" help:"Make a token; it is printed once, and only its hash is kept."`
}

type tokenCreateCommand struct {
	Agent string        `required:"" help:"Whom the token acts as." placeholder:"EMAIL"`
	Name  string        `help:"What it is for." default:"made at the command line"`
	Scope []string      `help:"Limit it to a scope; may stand several times."`
	Life  time.Duration `help:"How long it is good, such as 720h; by default until it is revoked."`
}

// Run prints the token, and nothing else, on standard output.
func (c *tokenCreateCommand) Run(ctx context.Context, w *world) error {
	core, err := w.core(ctx)
	if err != nil {
		return err
	}
	defer w.close(core)
	agent, err := agentOf(ctx, core, c.Agent)
	if err != nil {
		return err
	}
	if !agent.Active {
		return fmt.Errorf("agent %s is switched off", agent.Email)
	}
	if c.Life < 0 {
		return errors.New("--life must not be below 0")
	}
	token, err := core.MakeToken(ctx, store.Token{AgentID: agent.ID, Name: c.Name, Scopes: c.Scope}, c.Life)
	if err != nil {
		return err
	}
	return w.say("%s", token)
}

// agentOf finds an agent by address.
func agentOf(ctx context.Context, core *gateway.Core, email string) (*store.Agent, error) {
	address, err := message.ParseAddress(email)
	if err != nil {
		return nil, fmt.Errorf("%q is no mail address", email)
	}
	desk, err := core.DB.Desk(ctx)
	if err != nil {
		return nil, err
	}
	agent := desk.AgentByKey(address.Key())
	if agent == nil {
		return nil, fmt.Errorf("there is no agent %s", email)
	}
	return agent, nil
}

// close gives the store back; a command that did its work has not failed
// because of that.
func (w *world) close(core *gateway.Core) {
	if err := core.Close(); err != nil {
		_, _ = fmt.Fprintln(w.stderr, "ticketgate: close the store:", err)
	}
}
