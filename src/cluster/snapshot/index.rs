//! Objects by something that several of them may have.

use std::cmp::Ordering;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::Arc;

use super::by_name::Object;
use super::table::Table;
use crate::cluster::EndpointSlice;

/// Objects by address; those of one address in the order of their names.
#[derive(Debug)]
pub struct ByAddress<T> {
    table: Table<(IpAddr, Arc<T>)>,
}

// Not derived: that would ask the same of the objects.
impl<T> Default for ByAddress<T> {
    fn default() -> Self {
        Self { table: Table::default() }
    }
}

impl<T> Clone for ByAddress<T> {
    fn clone(&self) -> Self {
        Self { table: self.table.clone() }
    }
}

impl<T: Object> ByAddress<T> {
    /// The objects at an address.
    pub fn at(&self, address: IpAddr) -> impl Iterator<Item = &T> {
        self.table.range(move |(other, _)| other.cmp(&address)).map(|(_, object)| &**object)
    }

    /// The objects at an address whose namespace stands behind this one in the alphabet.
    pub fn at_behind<'a>(&'a self, address: IpAddr, namespace: &'a str) -> impl Iterator<Item = &'a T> {
        let is_behind = move |object: &T| match object.namespace() > namespace {
            true => Ordering::Equal,
            false => Ordering::Less,
        };
        let place = move |(other, object): &(IpAddr, Arc<T>)| other.cmp(&address).then_with(|| is_behind(object));
        self.table.range(place).map(|(_, object)| &**object)
    }

    /// Adds an object at its addresses, or puts it in the place of what had its name.
    pub fn add(&mut self, addresses: impl Iterator<Item = IpAddr>, object: &Arc<T>) {
        for address in addresses {
            self.table.insert((address, object.clone()), place(address, &**object));
        }
    }

    /// Takes an object away from its addresses.
    pub fn remove(&mut self, addresses: impl Iterator<Item = IpAddr>, object: &T) {
        for address in addresses {
            self.table.remove(place(address, object));
        }
    }

    /// Every address with an object that has it.
    #[cfg(test)]
    pub fn iter(&self) -> impl Iterator<Item = (IpAddr, &T)> {
        self.table.iter().map(|(address, object)| (*address, &**object))
    }
}

fn place<T: Object>(address: IpAddr, object: &T) -> impl Fn(&(IpAddr, Arc<T>)) -> Ordering {
    let name = (object.namespace(), object.name());
    move |(other_address, other)| other_address.cmp(&address).then_with(|| (other.namespace(), other.name()).cmp(&name))
}

/// What an EndpointSlice may belong to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owner<'a> {
    Service(&'a str),
    Import(&'a str),
}

/// EndpointSlices by what they belong to, whether that is there or not; those of one owner in the order of their names.
#[derive(Clone, Debug, Default)]
pub struct ByOwner {
    table: Table<Part>,
    hasher: RandomState,
}

/// A slice as a part of one of its owners.
#[derive(Clone, Debug)]
struct Part {
    /// Of its owner.
    hash: u32,
    is_of_import: bool,
    slice: Arc<EndpointSlice>,
}

impl Part {
    fn owner(&self) -> Option<Owner<'_>> {
        match self.is_of_import {
            true => self.slice.import.as_ref().map(|import| Owner::Import(&import.service)),
            false => self.slice.service.as_deref().map(Owner::Service),
        }
    }
}

impl ByOwner {
    /// The slices of an owner.
    pub fn of<'a>(&'a self, namespace: &'a str, owner: Owner<'a>) -> impl Iterator<Item = &'a EndpointSlice> {
        self.table.range(place_of(self.hash(namespace, owner), namespace, owner)).map(|part| &*part.slice)
    }

    /// Adds a slice to its owners, or puts it in the place of what had its name.
    pub fn add(&mut self, slice: &Arc<EndpointSlice>) {
        for owner in owners(slice) {
            let hash = self.hash(&slice.namespace, owner);
            let part = Part { hash, is_of_import: matches!(owner, Owner::Import(_)), slice: slice.clone() };
            self.table.insert(part, place_in(hash, slice, owner));
        }
    }

    /// Takes a slice away from its owners.
    pub fn remove(&mut self, slice: &EndpointSlice) {
        for owner in owners(slice) {
            self.table.remove(place_in(self.hash(&slice.namespace, owner), slice, owner));
        }
    }

    /// How many slices the owners have, each once for each owner.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.table.len()
    }

    #[expect(clippy::cast_possible_truncation, reason = "a part of a hash is one")]
    fn hash(&self, namespace: &str, owner: Owner<'_>) -> u32 {
        self.hasher.hash_one((namespace, owner)) as u32
    }
}

/// The Service and the ServiceImport that a slice belongs to.
fn owners(slice: &EndpointSlice) -> impl Iterator<Item = Owner<'_>> {
    let service = slice.service.as_deref().map(Owner::Service);
    let import = slice.import.as_ref().map(|import| Owner::Import(&import.service));
    service.into_iter().chain(import)
}

/// Where the slices of an owner stand.
fn place_of<'a>(hash: u32, namespace: &'a str, owner: Owner<'a>) -> impl Fn(&Part) -> Ordering + 'a {
    move |part| {
        let owners = || (&*part.slice.namespace, part.owner()).cmp(&(namespace, Some(owner)));
        part.hash.cmp(&hash).then_with(owners)
    }
}

/// Where a slice stands among those of an owner.
fn place_in<'a>(hash: u32, slice: &'a EndpointSlice, owner: Owner<'a>) -> impl Fn(&Part) -> Ordering + 'a {
    let place = place_of(hash, &slice.namespace, owner);
    move |part| place(part).then_with(|| part.slice.name.cmp(&slice.name))
}
