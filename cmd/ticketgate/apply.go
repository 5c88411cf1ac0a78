package main

import (
	"context"
	"path/filepath"

	"ticketgate/gateway/gateway"
)

type applyCommand struct {
	File   string `arg:"" help:"The desk as TOML; - is standard input."`
	DryRun bool   `help:"Print what would change, and change nothing."`
	Prune  bool   `help:"Remove what the file does not name."`
}

// Run applies the file and prints a line for each change.
func (c *applyCommand) Run(ctx context.Context, w *world) error {
	data, err := w.read(c.File)
	if err != nil {
		return err
	}
	file, err := gateway.ReadDesk(filepath.Base(c.File), data)
	if err != nil {
		return err
	}
	core, err := w.core(ctx)
	if err != nil {
		return err
	}
	defer w.close(core)
	lines, err := gateway.ApplyDesk(ctx, core.DB, file, gateway.ApplyOptions{
		DryRun: c.DryRun, Prune: c.Prune, Now: w.now, Seal: core.Seal, Allow: core.Config.WebhooksAllow,
	})
	if err != nil {
		return err
	}
	for _, line := range lines {
		if err := w.say("%s", line); err != nil {
			return err
		}
	}
	switch {
	case len(lines) == 0:
		return w.say("nothing to change")
	case c.DryRun:
		return w.say("%d to change; nothing was changed", len(lines))
	default:
		return w.say("%d changed", len(lines))
	}
}
