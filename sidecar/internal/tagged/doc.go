// Package tagged finds at AWS what carries given tags, whoever has made it.
package tagged
