package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"ticketgate/gateway/cards"
	"ticketgate/threading"
)

type contactsCommand struct {
	Import contactsImportCommand `cmd:"" help:"Take contacts over from a CSV or vCard file; again, it adds what is missing."`
}

type contactsImportCommand struct {
	File   string `arg:"" help:"A file that ends in .csv or .vcf."`
	DryRun bool   `help:"Tell what would become of each, and keep nothing; what stands twice in the file, far apart, is counted twice."`
}

// Run takes the file over, and prints a line for each contact that was not
// taken. It may be ended at any time, and made again.
func (c *contactsImportCommand) Run(ctx context.Context, w *world) error {
	format, err := cards.FormatOf(c.File)
	if err != nil {
		return err
	}
	file, err := os.Open(c.File)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // it was only read
	core, err := w.core(ctx)
	if err != nil {
		return err
	}
	defer w.close(core)
	bar := w.progress(file)
	told := 0
	done, err := cards.Import(ctx, format, io.TeeReader(file, bar), core.Threading.NewImport(c.DryRun), func(so threading.Imported) {
		for ; told < len(so.Refused); told++ {
			r := so.Refused[told]
			_ = bar.Clear()
			_ = w.say("%s:%d: %s", filepath.Base(c.File), r.Line, r.Reason)
		}
	})
	_ = bar.Clear()
	if err != nil {
		return fmt.Errorf("%w (%d were looked at; the same command goes on)", err, done.Total())
	}
	return c.sum(w, done)
}

// sum prints what became of the file; it fails where something was not taken.
func (c *contactsImportCommand) sum(w *world, done threading.Imported) error {
	tail := ""
	if c.DryRun {
		tail = "; nothing was kept"
	}
	err := w.say("%d added, %d changed, %d as they were, %d not taken%s", done.Added, done.Changed, done.Unchanged, len(done.Refused), tail)
	if err == nil && len(done.Refused) > 0 {
		return errQuiet
	}
	return err
}

// progress is a bar over the bytes of a file; where standard error is no
// terminal, nothing is shown.
func (w *world) progress(file *os.File) *progressbar.ProgressBar {
	size := int64(-1)
	if info, err := file.Stat(); err == nil && info.Mode().IsRegular() {
		size = info.Size()
	}
	terminal, ok := w.stderr.(*os.File)
	if !ok || !term.IsTerminal(int(terminal.Fd())) {
		return progressbar.DefaultBytesSilent(size)
	}
	return progressbar.NewOptions64(size, progressbar.OptionSetWriter(terminal), progressbar.OptionShowBytes(true),
		progressbar.OptionSetDescription(filepath.Base(file.Name())), progressbar.OptionClearOnFinish(), progressbar.OptionFullWidth())
}
