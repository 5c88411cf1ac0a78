package main

type helpCommand struct {
	Command []string `arg:"" optional:"" help:"The command to print help of."`
}

// Run prints the help, as --help does.
func (c *helpCommand) Run(w *world) error {
	_, _ = w.printer.Parse(append(c.Command, "--help")) // it prints on the way, or fails as --help would
	return nil
}
