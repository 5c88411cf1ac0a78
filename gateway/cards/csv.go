package cards

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"iter"
	"regexp"
	"strings"
	"unicode/utf8"

	"ticketgate/store"
	"ticketgate/threading"
)

// column is what a column of a CSV file means.
type column int

const (
	columnNothing column = iota
	columnName
	columnFirstName
	columnLastName
	columnEmail
	columnPhone
	columnID
	columnCompany
	columnCompanyDomain
	columnCompanyID
	columnParent
)

// columnOf reads a name of the header row. It knows the words of address books
// (Google, Outlook), in English and German.
func columnOf(header string) column {
	switch notLetters.ReplaceAllString(strings.ToLower(header), "") {
	case "name", "fullname", "displayname", "contact", "contactname", "anzeigename", "vollständigername":
		return columnName
	case "firstname", "givenname", "vorname":
		return columnFirstName
	case "lastname", "surname", "familyname", "nachname":
		return columnLastName
	case "email", "emails", "mail", "emailaddress", "emailaddresses", "emailvalue", "address", "addresses", "emailadresse":
		return columnEmail
	case "phone", "phones", "phonenumber", "phonevalue", "tel", "telephone", "mobile", "mobilephone", "businessphone",
		"homephone", "primaryphone", "otherphone", "companymainphone", "telefon", "mobil", "handy", "telefongeschäftlich", "telefonprivat":
		return columnPhone
	case "id", "externalid", "contactid", "customerid", "kundennummer":
		return columnID
	case "company", "companyname", "organization", "organisation", "organizationname", "organisationname", "firma", "account", "accountname":
		return columnCompany
	case "companydomain", "domain", "domains":
		return columnCompanyDomain
	case "companyid", "companyexternalid", "accountid", "firmennummer":
		return columnCompanyID
	case "parent", "parentcompany", "companyparent", "parentaccount", "muttergesellschaft":
		return columnParent
	}
	return columnNothing
}

// notLetters is what parts the words of a header, and numbers them.
var notLetters = regexp.MustCompile(`[^\p{L}]+`)

// readCSV reads rows below a header row, whose names may stand in any order.
// Fields are parted by comma, semicolon or tab, whichever the header row has
// most of. Several columns of addresses or phones count one after the other; a
// cell may hold several, parted by semicolon, comma, bar or line break.
func readCSV(r io.Reader) iter.Seq2[threading.Card, error] {
	return func(yield func(threading.Card, error) bool) {
		in := bufio.NewReaderSize(r, 64<<10)
		if start, _ := in.Peek(3); string(start) == "\xef\xbb\xbf" {
			_, _ = in.Discard(3)
		}
		rows := newRows(in, separator(in))
		columns, err := headerRow(rows)
		if err != nil {
			yield(threading.Card{}, err)
			return
		}
		for {
			row, broken, err := rows.next()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(threading.Card{}, err)
				return
			}
			card := threading.Card{Broken: broken}
			if broken == "" {
				card = cardOfRow(columns, row)
			}
			if card.Line = rows.line(); !yield(card, nil) {
				return
			}
		}
	}
}

// separator guesses what parts the fields, by the first line.
func separator(in *bufio.Reader) rune {
	start, _ := in.Peek(16 << 10)
	line, _, _ := bytes.Cut(start, []byte("\n"))
	best, most := ',', 0
	for _, c := range []rune{',', ';', '\t'} {
		if n := bytes.Count(line, []byte(string(c))); n > most {
			best, most = c, n
		}
	}
	return best
}

func headerRow(rows *rows) ([]column, error) {
	row, broken, err := rows.next()
	if errors.Is(err, io.EOF) {
		return nil, store.Invalid("file", "is empty")
	}
	if broken != "" {
		return nil, store.Invalid("file", "the header row in line %d: %s", rows.line(), broken)
	}
	if err != nil {
		return nil, err
	}
	columns := make([]column, len(row))
	known := map[column]bool{}
	for i, header := range row {
		columns[i] = columnOf(header)
		known[columns[i]] = true
	}
	if !known[columnName] && !known[columnFirstName] && !known[columnLastName] && !known[columnEmail] {
		return nil, store.Invalid("file", "the header row names no column of names or addresses (name, first name, last name, email)")
	}
	return columns, nil
}

func cardOfRow(columns []column, row []string) threading.Card {
	var c threading.Card
	var first, last string
	texts := map[column]*string{
		columnName: &c.Name, columnFirstName: &first, columnLastName: &last, columnID: &c.ExternalID,
		columnCompany: &c.Company.Name, columnCompanyDomain: &c.Company.Domain, columnCompanyID: &c.Company.ExternalID,
		columnParent: &c.Company.Parent,
	}
	for i, cell := range row {
		if !utf8.ValidString(cell) {
			return threading.Card{Broken: "the row is not UTF-8"}
		}
		if i >= len(columns) {
			if strings.TrimSpace(cell) != "" {
				return threading.Card{Broken: "the row has more fields than the header row"}
			}
			continue
		}
		switch cell = strings.TrimSpace(cell); columns[i] {
		case columnEmail:
			c.Emails = append(c.Emails, several(cell)...)
		case columnPhone:
			c.Phones = append(c.Phones, several(cell)...)
		default:
			if text := texts[columns[i]]; text != nil && *text == "" {
				*text = cell
			}
		}
	}
	if c.Name == "" {
		c.Name = strings.TrimSpace(first + " " + last)
	}
	return c
}

// several takes a cell apart.
func several(cell string) []string {
	cell = strings.ReplaceAll(cell, ":::", "\n") // Google's way
	return strings.FieldsFunc(cell, func(r rune) bool { return strings.ContainsRune(";,|\n\r", r) })
}
