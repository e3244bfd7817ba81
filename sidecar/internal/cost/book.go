package cost

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"

	"gopkg.in/yaml.v3"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// Book is the price book: what an option of an enum costs a month when the
// offering does not say so itself. It is immutable; the zero Book is empty.
type Book struct {
	prices map[string]provision.Money
	digest string
}

// ParseBook reads a price book in YAML: dollars a month by option, under the
// key prices. Other keys are ignored. Every fault at once is an Invalid error.
func ParseBook(text []byte) (Book, error) {
	var file struct {
		Prices map[string]yaml.Node `yaml:"prices"`
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		return Book{}, provision.Errorf(provision.Invalid, "the price book cannot be read: %w", err)
	}
	sum := sha256.Sum256(text)
	book := Book{prices: map[string]provision.Money{}, digest: "sha256:" + hex.EncodeToString(sum[:])}
	var faults []provision.Fault
	for _, option := range slices.Sorted(maps.Keys(file.Prices)) {
		// The node's own text, since a float64 would already have lost it.
		price, err := provision.ParseMoney(file.Prices[option].Value)
		switch {
		case err != nil:
			faults = append(faults, provision.Fault{Path: "/prices/" + option, Message: err.Error()})
		case price < 0:
			faults = append(faults, provision.Fault{Path: "/prices/" + option, Message: option + " has a negative price"})
		}
		book.prices[option] = price
	}
	if len(faults) > 0 {
		err := provision.Errorf(provision.Invalid, "the price book has wrong prices: %s", faults[0].Message)
		err.Details = faults
		return Book{}, err
	}
	return book, nil
}

// Price is what an option costs a month, and whether the book knows.
func (b Book) Price(option string) (provision.Money, bool) {
	price, ok := b.prices[option]
	return price, ok
}

// Digest names exactly this book: "sha256:<hex>", "" for the zero Book.
func (b Book) Digest() string { return b.digest }
