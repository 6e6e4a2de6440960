//! The card's two models.

use guideway_sim::card::{Card, Model};
use guideway_sim::reference::ReferenceCard;
use guideway_sim::rtl::{RtlCard, RtlConfig};

/// A card, fresh from power on.
pub fn card(model: Model) -> Box<dyn Card> {
    match model {
        Model::Reference => Box::new(ReferenceCard::new()),
        Model::Rtl => Box::new(RtlCard::new(RtlConfig::default())),
    }
}
