// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `<filterref>`: a filter by its name, and the values of its variables. In a card, a filter and a binding alike.

use virtus_api::Result;

use crate::reader::Node;

element! {
    /// `<filterref>`.
    pub struct FilterRef {
        required filter: String = "filter",
        /// By name; several of one name are a list, in the order of the document.
        child parameters: Vec<FilterParameter> = "parameter"
    }
    then Self::check
}

element! {
    /// `<parameter>`: a value of a variable.
    pub struct FilterParameter {
        required name: String = "name",
        required value: String = "value"
    }
}

impl FilterRef {
    /// Sorts the parameters; drops, and reports, what cannot be a name or a value, as libvirt drops it.
    fn check(&mut self, node: Node<'_>) -> Result<()> {
        let usable = |parameter: &FilterParameter| {
            let plain = |text: &str, others: &str| {
                text.chars().all(|c| c.is_ascii_alphanumeric() || others.contains(c))
            };
            plain(&parameter.name, "_")
                && plain(&parameter.value, "_.:")
                && !parameter.value.is_empty()
        };
        let places = node.children().filter(|child| child.name() == "parameter");
        for (_, place) in
            self.parameters.iter().zip(places).filter(|(parameter, _)| !usable(parameter))
        {
            place.ignored("names are letters, digits and _, values also . and :");
        }
        self.parameters.retain(usable);
        self.parameters.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(())
    }
}
