//! Writes `rtl/gen/gw_layout_pkg.sv`: the SystemVerilog side of every declaration in this crate.

use crate::layout::{Codes, Layout};
use crate::sizes::Sizes;
use core::fmt::{Result, Write};

/// Writes the whole package, for a build of these sizes.
///
/// # Errors
/// What `out` answers.
pub fn write_package(out: &mut impl Write, sizes: &Sizes) -> Result {
    writeln!(
        out,
        "// Generated from hdl-bindings/src by `make generate`: change it there."
    )?;
    writeln!(out, "package gw_layout_pkg;")?;
    writeln!(
        out,
        "  localparam logic [31:0] LayoutHash = 32'h{:08x};",
        crate::layout_hash(sizes)
    )?;
    for (name, value) in &crate::constants(sizes) {
        if *value > i32::MAX as u64 {
            writeln!(out, "  localparam logic [31:0] {name} = 32'h{value:08x};")?;
        } else {
            writeln!(out, "  localparam int unsigned {name} = {value};")?;
        }
    }
    for codes in crate::CODES {
        write_codes(out, codes)?;
    }
    for layout in crate::LAYOUTS {
        write_layout(out, layout)?;
    }
    writeln!(out, "endpackage")
}

fn write_codes(out: &mut impl Write, codes: &Codes) -> Result {
    writeln!(out)?;
    for line in codes.doc.lines() {
        writeln!(out, "  //{line}")?;
    }
    writeln!(out, "  typedef enum logic [{}:0] {{", codes.bits - 1)?;
    for (i, code) in codes.codes.iter().enumerate() {
        write!(out, "    ")?;
        write_upper_camel(
            out,
            codes.name.trim_start_matches("gw_").trim_end_matches("_e"),
        )?;
        write_upper_camel(out, code.name)?;
        let comma = if i + 1 == codes.codes.len() { "" } else { "," };
        writeln!(
            out,
            " = {}'d{}{comma}  //{}",
            codes.bits, code.value, code.doc
        )?;
    }
    writeln!(out, "  }} {};", codes.name)
}

fn write_layout(out: &mut impl Write, layout: &Layout) -> Result {
    writeln!(out)?;
    for line in layout.doc.lines() {
        writeln!(out, "  //{line}")?;
    }
    writeln!(out, "  typedef struct packed {{")?;
    let used: usize = layout.fields.iter().map(|f| f.bits).sum();
    if used < layout.bits {
        writeln!(
            out,
            "    logic [{}:0] reserved_top;",
            layout.bits - used - 1
        )?;
    }
    for field in layout.fields.iter().rev() {
        if field.bits == 1 {
            writeln!(out, "    logic {};  //{}", field.name, field.doc)?;
        } else {
            writeln!(
                out,
                "    logic [{}:0] {};  //{}",
                field.bits - 1,
                field.name,
                field.doc
            )?;
        }
    }
    writeln!(out, "  }} {};", layout.name)
}

fn write_upper_camel(out: &mut impl Write, name: &str) -> Result {
    let mut upper = true;
    for c in name.chars() {
        if c == '_' {
            upper = true;
        } else {
            out.write_char(if upper { c.to_ascii_uppercase() } else { c })?;
            upper = false;
        }
    }
    Ok(())
}
