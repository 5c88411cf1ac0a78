package cards

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"strings"
)

// maxRow is the size of a row in bytes. A quote that nobody closed makes one row
// of the whole rest of a file, which must not all stand in memory.
const maxRow = 1 << 20

// errLongRow ends the reading of a row.
var errLongRow = errors.New("the row is larger than 1 MiB")

// rows reads records one after the other, each within the bound.
type rows struct {
	lines *lines
	comma rune
	csv   *csv.Reader
}

func newRows(in *bufio.Reader, comma rune) *rows {
	r := &rows{lines: &lines{in: in}, comma: comma}
	r.begin()
	return r
}

func (r *rows) begin() {
	r.csv = csv.NewReader(r.lines)
	r.csv.Comma, r.csv.FieldsPerRecord, r.csv.ReuseRecord = r.comma, -1, true
}

// next reads a record. broken tells why this one can't be read; the next one
// can. Errors: io.EOF behind the last, or of the file.
func (r *rows) next() (row []string, broken string, err error) {
	r.lines.row()
	row, err = r.csv.Read()
	wrong, isWrong := errors.AsType[*csv.ParseError](err)
	switch {
	case errors.Is(err, errLongRow):
		r.lines.skip()
		r.begin()
		return nil, fmt.Sprintf("%v, perhaps for a quote that nothing closes; what comes behind line %d is read", err, r.lines.n), nil
	case isWrong:
		return nil, "the row can't be read: " + wrong.Err.Error(), nil
	}
	return row, "", err
}

// line is where the record begins that was read last.
func (r *rows) line() int { return max(r.lines.begin, 1) }

// lines hands out a file line by line, so that nobody reads ahead, and counts.
type lines struct {
	in     *bufio.Reader
	part   []byte // of the line, not handed out yet; in owns it
	within bool   // the end of the line is still to be read
	n      int    // lines that were begun
	begin  int    // the line where the row begins; 0: empty lines so far
	left   int    // bytes that the row may still have
}

// row tells that a row begins with the next line that is not empty.
func (l *lines) row() { l.begin, l.left = 0, maxRow }

// Read gives a part of a line. Errors: errLongRow, or those of the file.
func (l *lines) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, errLongRow
	}
	if len(l.part) == 0 {
		if err := l.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, l.part)
	l.part = l.part[n:]
	if l.begin > 0 {
		l.left -= n
	}
	return n, nil
}

// fill reads on in the line, or the next one.
func (l *lines) fill() error {
	var err error
	if l.part, err = l.in.ReadSlice('\n'); len(l.part) == 0 {
		return err
	}
	if !l.within {
		l.n++
		if l.begin == 0 && strings.Trim(string(l.part), "\r\n") != "" {
			l.begin = l.n
		}
	}
	l.within = l.part[len(l.part)-1] != '\n'
	return nil
}

// skip passes over the rest of a line.
func (l *lines) skip() {
	for l.within && l.fill() == nil {
	}
	l.part, l.within = nil, false
}
