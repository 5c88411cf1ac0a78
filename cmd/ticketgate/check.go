package main

import (
	"context"
	"strings"

	"ticketgate/gateway/gateway"
)

type checkCommand struct{}

// Run prints a line a finding, and fails if one is an error.
func (checkCommand) Run(ctx context.Context, w *world) error {
	c, err := w.settings()
	if err != nil {
		var findings []gateway.Finding
		for line := range strings.SplitSeq(err.Error(), "\n") {
			findings = append(findings, gateway.Finding{Level: gateway.LevelError, Text: line})
		}
		return w.findings(findings)
	}
	return w.findings(gateway.Check(ctx, c))
}

// findings prints a line each, with its level in front.
func (w *world) findings(all []gateway.Finding) error {
	failed := false
	for _, f := range all {
		failed = failed || f.Level == gateway.LevelError
		if err := w.say("%-6s %s", f.Level, f.Text); err != nil {
			return err
		}
	}
	if failed {
		return errQuiet
	}
	return nil
}
