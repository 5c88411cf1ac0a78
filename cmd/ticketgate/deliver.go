package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"ticketgate/gateway/lmtp"
	"ticketgate/threading/message"
)

// deliverTimeout is how long the daemon may take for one mail.
const deliverTimeout = 3 * time.Minute

type deliverCommand struct {
	File string   `arg:"" help:"The mail, as a file; - is standard input."`
	To   []string `required:"" help:"Recipient; may stand several times." placeholder:"ADDRESS" sep:","`
	From *string  `help:"Envelope sender; default the mail's author. Give an empty one for the null sender." placeholder:"ADDRESS"`
}

// Run hands the mail in and prints the reply for each recipient.
func (c *deliverCommand) Run(ctx context.Context, w *world) error {
	settings, err := w.settings()
	if err != nil {
		return err
	}
	raw, err := w.read(c.File)
	if err != nil {
		return err
	}
	where, err := settings.IntakeAddress()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, deliverTimeout)
	defer cancel()
	replies, err := lmtp.Send(ctx, where, c.sender(raw), c.To, bytes.NewReader(raw))
	if err != nil {
		return err
	}
	refused := false
	for _, r := range replies {
		refused = refused || !r.OK()
		if err := w.say("%s: %d %s", r.Recipient, r.Code, r.Text); err != nil {
			return err
		}
	}
	if refused {
		return errQuiet
	}
	return nil
}

// sender gives the envelope's sender.
func (c *deliverCommand) sender(raw []byte) string {
	if c.From != nil {
		return *c.From
	}
	author, ok := message.Parse(raw).Author()
	if !ok {
		return ""
	}
	return author.String()
}

// read gives the bytes of a file, or of standard input for "-".
func (w *world) read(file string) ([]byte, error) {
	if file != "-" {
		return os.ReadFile(file)
	}
	raw, err := io.ReadAll(w.stdin)
	if err != nil {
		return nil, fmt.Errorf("read standard input: %w", err)
	}
	return raw, nil
}
