package gateway

import (
	"io"
	"log/slog"
	"os"

	"github.com/mattn/go-isatty"
)

// NewLogger makes the logger that the configuration asks for. It writes to w:
// text where w is a terminal, JSON elsewhere, unless log.format says which. The
// level can be changed while it runs.
func NewLogger(c *Config, w io.Writer) (*slog.Logger, *slog.LevelVar) {
	level := new(slog.LevelVar)
	level.Set(c.Level())
	opt := &slog.HandlerOptions{Level: level}
	format := c.LogFormat
	if format == "" && isTerminal(w) {
		format = "text"
	}
	if format == "text" {
		return slog.New(slog.NewTextHandler(w, opt)), level
	}
	return slog.New(slog.NewJSONHandler(w, opt)), level
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && isatty.IsTerminal(f.Fd())
}
