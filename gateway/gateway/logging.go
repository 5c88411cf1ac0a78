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
	opt.ReplaceAttr = inSeconds
	return slog.New(slog.NewJSONHandler(w, opt)), level
}

// inSeconds writes durations as seconds, the unit of the metrics; slog's own
// JSON has nanoseconds, which nobody reads.
func inSeconds(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		a.Value = slog.Float64Value(a.Value.Duration().Seconds())
	}
	return a
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && isatty.IsTerminal(f.Fd())
}
